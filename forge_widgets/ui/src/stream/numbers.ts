// Turns recorded numbers into the words people read: one way of writing a value, a count, a share and a duration
// for every view. Pure; must never touch the DOM or the clock. Called by the components.

const SIGNIFICANT_DIGITS = 4;
const SCIENTIFIC_BELOW = 1e-4;
const SCIENTIFIC_FROM = 1e6;
const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P'];

/** Write a metric with four significant digits, scientific below 1e-4 and from 1e6 on, a non-finite one as a word. */
export function formatNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  if (value === 0) return '0';
  // Rounding comes first: 999,999.9 is written as a million would be.
  const rounded = Number(value.toPrecision(SIGNIFICANT_DIGITS));
  const size = Math.abs(rounded);
  if (size < SCIENTIFIC_BELOW || size >= SCIENTIFIC_FROM) {
    const [digits = '0', exponent = '+0'] = rounded.toExponential(SIGNIFICANT_DIGITS - 1).split('e');
    return `${signed(String(Number(digits)))}e${signed(exponent.replace('+', ''))}`;
  }
  const [whole = '0', fraction] = String(size).split('.');
  const sign = rounded < 0 ? '−' : '';
  return sign + grouped(whole) + (fraction === undefined ? '' : `.${fraction}`);
}

/** Write a count in full, with separators: `1,000`. */
export function formatCount(count: number): string {
  return signed(grouped(String(Math.round(count))));
}

/** Write a count for narrow places: in full below 10,000, then with three digits and an SI prefix: `12.4 k`, `3.05 M`. */
export function formatCompact(count: number): string {
  if (!Number.isFinite(count) || Math.abs(count) < 10_000) return Number.isFinite(count) ? formatCount(count) : '–';
  const power = Math.floor(Math.log10(Math.abs(Number(count.toPrecision(3)))) / 3);
  const prefix = PREFIXES[Math.min(power, PREFIXES.length - 1)] ?? '';
  const scaled = count / 1000 ** Math.min(power, PREFIXES.length - 1);
  return `${signed(String(Number(scaled.toPrecision(3))))} ${prefix}`;
}

/** Write a share of 0 to 1 as per cent without decimals, never "100 %" before it is whole. */
export function formatPercent(share: number): string {
  if (!Number.isFinite(share)) return '–';
  const percent = Math.min(100, Math.max(0, share * 100));
  return `${percent < 100 ? Math.min(99, Math.round(percent)) : 100} %`;
}

/** Write a duration in seconds: "0.8 s", "41 s", "12 min", "1 h 12 min", "3 d 4 h"; "–" where it is unknown. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '–';
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (Math.round(seconds) < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  const days = Math.floor(hours / 24);
  return hours % 24 === 0 ? `${days} d` : `${days} d ${hours % 24} h`;
}

function grouped(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Use the typographic minus, as wide as the digits beside it. */
function signed(text: string): string {
  return text.replace(/^-/, '−');
}
