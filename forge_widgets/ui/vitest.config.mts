import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.{ts,tsx}'],
    restoreMocks: true,
    unstubGlobals: true,
    testTimeout: 10_000,
    // A promise rejected after its test ended is a failure, never a line in the log.
    dangerouslyIgnoreUnhandledErrors: false,
  },
});
