/** The formats of texts that Python's `jsonschema` checks in the original. Texts of other formats are not checked. */

type Check = (text: string) => boolean;

const POINTER = /^(?:\/(?:[^~]|~[01])*)?$/;
/** Prefect: jsonschema allows no digit after a zero. */
const RELATIVE_POINTER = /^(?!\d*0\d)\d+(#|.*)$/s;
const DATE = /^(\d{4})-(0[1-9]|1[0-2])-(\d{2})$/;
const CLOCK = /^(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/i;
const IPV4 = /^(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}$/;

const isClock: Check = (text) => CLOCK.test(text);
const hasAt: Check = (text) => text.includes("@");

function isDate(text: string): boolean {
  const [, year, month, day] = DATE.exec(text) ?? [];
  if (year === undefined || Number(year) === 0) return false;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  return Number(day) > 0 && date.getUTCMonth() === Number(month) - 1;
}

function isDateTime(text: string): boolean {
  const [date = "", clock = "", ...more] = text.split(/t/i);
  return more.length === 0 && isDate(date) && isClock(clock);
}

function isIpv6(text: string): boolean {
  if (!text.includes(":") || !/^[\da-f:.]+$/i.test(text)) return false;
  return URL.canParse(`http://[${text}]/`);
}

function isRelativePointer(text: string): boolean {
  const rest = RELATIVE_POINTER.exec(text)?.[1];
  return rest !== undefined && (rest === "#" || POINTER.test(rest));
}

const FORMATS: ReadonlyMap<unknown, Check> = new Map<unknown, Check>([
  ["email", hasAt],
  ["idn-email", hasAt],
  ["ipv4", (text) => IPV4.test(text)],
  ["ipv6", isIpv6],
  ["date", isDate],
  ["time", isClock],
  ["date-time", isDateTime],
  ["json-pointer", (text) => POINTER.test(text)],
  ["relative-json-pointer", isRelativePointer],
  ["uuid", (text) => /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i.test(text)],
]);

/** Whether a text has the format. Every text has a format that is not known. */
export function hasFormat(text: string, format: unknown): boolean {
  return FORMATS.get(format)?.(text) ?? true;
}
