/** Durations as pydantic reads and prints them. */

const ISO_DURATION =
  /^([+-])?P(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?$/i;
const CLOCK_DURATION = /^(-)?(?:(\d+)\s*(?:days?|d),?\s*)?(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d{1,6})?))?$/i;

/** The seconds of a duration: of a number, `PT1H30M` or `1 day, 02:00:00`. */
export function parseDuration(value: string | number): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  const text = value.trim();
  if (/^[+-]?\d+(\.\d+)?$/.test(text)) return Number(text);
  const iso = ISO_DURATION.exec(text);
  if (iso && text.length > 1 && !/[PT]$/i.test(text)) {
    const [, sign, weeks, days, hours, minutes, seconds] = iso;
    return signed(sign, Number(weeks ?? 0) * 7 + Number(days ?? 0), hours, minutes, seconds);
  }
  const clock = CLOCK_DURATION.exec(text);
  return clock ? signed(clock[1], Number(clock[2] ?? 0), clock[3], clock[4], clock[5]) : undefined;
}

function signed(sign: string | undefined, days: number, hours = "0", minutes = "0", seconds = "0"): number {
  const total = ((days * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds);
  return sign === "-" ? -total : total;
}

/** Seconds as `P1DT2H`: days, and the rest of the day in hours, minutes and seconds. */
export function printIsoDuration(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const rest = [
    [Math.floor((seconds % 86_400) / 3600), "H"],
    [Math.floor((seconds % 3600) / 60), "M"],
    [seconds % 60, "S"],
  ].flatMap(([count, unit]) => (count ? `${count}${unit}` : []));
  return `P${days > 0 ? `${days}D` : ""}${rest.length > 0 || days === 0 ? `T${rest.join("") || "0S"}` : ""}`;
}
