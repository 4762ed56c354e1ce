/** Allowed values of EventBridge's fields, in order: minutes, hours, day of the month, month, day of the week, year. */
const FIELDS = [
  { numbers: /^([0-9]|[1-5][0-9])$/, also: /^$/ },
  { numbers: /^([0-9]|1[0-9]|2[0-3])$/, also: /^$/ },
  { numbers: /^([1-9]|[12][0-9]|3[01])$/, also: /^(\?|L|([1-9]|[12][0-9]|3[01])W)$/ },
  { numbers: /^([1-9]|1[0-2]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)$/, also: /^$/ },
  { numbers: /^([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)$/, also: /^(\?|L|[1-7]L|[1-7]#[1-5])$/ },
  { numbers: /^(19[7-9][0-9]|20[0-9][0-9]|21[0-9][0-9])$/, also: /^$/ },
] as const;

/**
 * Whether a text is a cron expression of EventBridge, such as `0 20 ? * MON-FRI *`: six fields, of which either the day
 * of the month or the day of the week is `?`, but not both.
 */
export function isCron(text: string): boolean {
  const fields = text.split(" ");
  return (
    fields.length === FIELDS.length &&
    (fields[2] === "?") !== (fields[4] === "?") &&
    fields.every((field, index) => isField(field, FIELDS[index]!))
  );
}

function isField(field: string, { numbers, also }: (typeof FIELDS)[number]): boolean {
  return field.split(",").every((part) => {
    const [range, step, ...more] = part.split("/") as [string, string?, ...string[]];
    const ends = range.split("-");
    return (
      more.length === 0 &&
      (step === undefined || /^[1-9][0-9]*$/.test(step)) &&
      (range === "*" || also.test(part) || (ends.length <= 2 && ends.every((end) => numbers.test(end))))
    );
  });
}

/** Whether a text is a time zone's IANA name, such as Europe/Berlin or UTC. */
export function isTimezone(text: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: text });
    return /^[A-Za-z]/.test(text);
  } catch {
    return false;
  }
}
