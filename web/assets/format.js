// Times, distances and numbers in words.

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "short" });

/** The time on this device, such as 14:05, or Fri 14:05 on another day. */
export function time(iso) {
  if (!iso) return "–";
  const moment = new Date(iso);
  const today = moment.toDateString() === new Date().toDateString();
  return today ? clock.format(moment) : `${weekday.format(moment)} ${clock.format(moment)}`;
}

const days = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });

/** A day such as 2026-11-20 in words. */
export const dayName = (day) => days.format(new Date(day));

/** For <input type="datetime-local">: a time on this device, to the minute. */
export function inputTime(moment) {
  const date = new Date(moment);
  return new Date(date - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

const UTC_TIMES = /(\d{4}-\d{2}-\d{2} )?(\d{2}:\d{2}) UTC/g;

/**
 * The reason of an order with the times on this device: dispatch writes 14:05 UTC, with the date if that was another
 * day. A time without a date gets the offset of today.
 */
export const withLocalTimes = (reason) => reason.replace(UTC_TIMES, (found, day, at) => {
  const moment = new Date(`${(day ?? new Date().toISOString()).slice(0, 10)}T${at}Z`);
  if (Number.isNaN(moment.valueOf())) return found; // not from dispatch: part of a name
  return day ? inputTime(moment).replace("T", " ") : clock.format(moment);
});

export const kilometres = (km) => `${km.toFixed(1)} km`;

export const boxes = (count) => (count === 1 ? "1 box" : `${count} boxes`);

export const percent = (share, digits = 0) =>
  share === null || share === undefined ? "–" : `${(share * 100).toFixed(digits)}%`;

export const megabytes = (bytes) => `${(bytes / 1_000_000).toFixed(0)} MB`;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The first 8 characters of a UUID; other ids as they are. */
export const shortId = (id) => (UUID.test(id) ? id.slice(0, 8) : id);

/** Opens the navigation of the phone. */
export const navigationLink = ({ latitude, longitude }) =>
  /iPhone|iPad/.test(navigator.userAgent)
    ? `maps:?daddr=${latitude},${longitude}`
    : `geo:${latitude},${longitude}?q=${latitude},${longitude}`;
