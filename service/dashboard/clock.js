// The service's time as this page knows it: the viewer's clock may be wrong, ages and expiries must not be.

let offset = 0;

/** Take the service's time from an answer that says what time it is there. */
export function setServiceTime(text) {
  const there = Date.parse(text);
  if (Number.isFinite(there)) {
    const found = there - Date.now();
    offset = Math.abs(found) > 1500 ? found : 0; // less is the way of the answer, not the clock
  }
}

/** The service's time in milliseconds since the epoch. */
export const now = () => Date.now() + offset;

/** Seconds since a moment of the service, as RFC 3339; NaN where there is none. */
export const since = (text) => (now() - Date.parse(text)) / 1000;
