// The civil calendar (Gregorian, UTC) of a moment of the virtual clock, for what writes a date.

const secondsOfDay = 86_400
/** Days from 0000-03-01 to 1970-01-01, and of 400 years. */
const era = { start: 719_468, days: 146_097 } as const

export interface Moment {
  readonly year: number
  /** From January, which is 0. */
  readonly month: number
  /** From 1. */
  readonly date: number
  /** From Sunday, which is 0. */
  readonly weekday: number
  /** `01:02:03` */
  readonly clock: string
}

export function twoDigits(number: number): string {
  return String(number).padStart(2, '0')
}

/** The date of a day since 1970, by years that begin in March. */
function dateOf(days: number): Pick<Moment, 'year' | 'month' | 'date'> {
  const shifted = days + era.start
  const inEra = shifted % era.days
  const year = Math.floor(
    (inEra - Math.floor(inEra / 1460) + Math.floor(inEra / 36_524) - Math.floor(inEra / 146_096)) / 365,
  )
  const inYear = inEra - (365 * year + Math.floor(year / 4) - Math.floor(year / 100))
  const march = Math.floor((5 * inYear + 2) / 153)
  const month = (march + 2) % 12
  const date = inYear - Math.floor((153 * march + 2) / 5) + 1
  return { year: year + Math.floor(shifted / era.days) * 400 + (month < 2 ? 1 : 0), month, date }
}

/** The moment of whole seconds since 1970. */
export function momentOf(seconds: number): Moment {
  const days = Math.floor(seconds / secondsOfDay)
  const rest = seconds - days * secondsOfDay
  const clock = [Math.floor(rest / 3600), Math.floor(rest / 60) % 60, rest % 60].map(twoDigits).join(':')
  return { ...dateOf(days), weekday: (days + 4) % 7, clock }
}
