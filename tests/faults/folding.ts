// Folds logs in TypeScript for the tests that compare it with Python's fold: a line of records in, a line of what became of
// them out (tests/faults/test_faults_languages.py).
import process from 'node:process';
import { createInterface } from 'node:readline';

import { CursorClient } from '../../forge_widgets/ui/src/stream/cursor';
import { parseText } from '../../forge_widgets/ui/src/stream/messages';
import { linesOf, say } from './wire';

/** Take frames, a JSON text each, one after the other, as a viewer that has nothing yet. */
function take(frames: readonly string[]): void {
  const client = new CursorClient();
  const outcomes = frames.map((text) => {
    const frame = parseText(text);
    return frame?.type === 'frame' ? client.take(frame) : 'malformed';
  });
  say({ outcomes, cursor: client.cursor, gap: client.gap, state: client.state, series: linesOf(client.series) });
}

createInterface({ input: process.stdin }).on('line', (line) => {
  take(JSON.parse(line) as string[]);
});
