/**
 * Decimal numbers within bounds, as texts. A bound is compared digit by digit: a text is above it where
 * a first digit is greater, and anything follows. Numbers have up to fifteen digits before the point and
 * after it, none of them an exponent.
 */
import { choice, type Expression, literal, oneOf, repeat, sequence } from "./_expression.ts"

/** Both belong to the range. */
export interface DecimalRange {
  readonly minimum: number
  readonly maximum: number
}

const places = 15
const unit = 10n ** BigInt(places)

/** The integers of a range. */
export function integersWithin({ minimum, maximum }: DecimalRange): Expression {
  const [low, high] = [ceiling(scaled(minimum, true)), floor(scaled(maximum, false))]
  return choice(...signed(low, high, naturalsBetween, unit - 1n))
}

/** The decimal numbers of a range. */
export function decimalsWithin({ minimum, maximum }: DecimalRange): Expression {
  const [low, high] = [scaled(minimum, true), scaled(maximum, false)]
  return choice(...signed(low, high, unsignedBetween, unit * unit - 1n))
}

/** The texts from zero on, and those below it. */
function signed(
  low: bigint,
  high: bigint,
  between: (low: bigint, high: bigint) => Expression,
  most: bigint,
): Expression[] {
  const options: Expression[] = []
  const [top, bottom] = [least(high, most), least(-low, most)]
  if (top >= 0n && low <= top) options.push(between(greatest(low, 0n), top))
  if (bottom >= 1n && -high <= bottom) {
    options.push(sequence(literal("-"), between(greatest(-high, 1n), bottom)))
  }
  return options
}

const least = (a: bigint, b: bigint): bigint => a < b ? a : b
const greatest = (a: bigint, b: bigint): bigint => a > b ? a : b

/** A number times 10^15, rounded into the range that it bounds. */
function scaled(value: number, isMinimum: boolean): bigint {
  const beyond = unit * unit
  if (Math.abs(value) >= 1e15) return value > 0 ? beyond : -beyond
  const [digits, exponent] = value.toExponential().split("e")
  const [whole, fraction = ""] = digits.split(".")
  const power = Number(exponent) - fraction.length + places
  const mantissa = BigInt(whole + fraction)
  if (power >= 0) return mantissa * 10n ** BigInt(power)
  const by = 10n ** BigInt(-power)
  return isMinimum ? -divide(-mantissa, by) : divide(mantissa, by)
}

/** Rounded down. */
function divide(value: bigint, by: bigint): bigint {
  const quotient = value / by
  return value < 0n && quotient * by !== value ? quotient - 1n : quotient
}

const floor = (value: bigint): bigint => divide(value, unit)
const ceiling = (value: bigint): bigint => -divide(-value, unit)

const digit = (from: number, to: number): Expression => oneOf([[0x30 + from, 0x30 + to]])
const anyDigits = (min: number, max: number): Expression => repeat(digit(0, 9), min, max)

/** Integers from 0 on, without leading zeros. */
function naturalsBetween(low: bigint, high: bigint): Expression {
  const options: Expression[] = []
  for (let length = `${low}`.length; length <= `${high}`.length; length++) {
    const first = length === 1 ? 0n : 10n ** BigInt(length - 1)
    const last = 10n ** BigInt(length) - 1n
    options.push(between(`${greatest(low, first)}`, `${least(high, last)}`, sameLength))
  }
  return choice(...options)
}

/** Decimals from 0 on, the bounds times 10^15. */
function unsignedBetween(low: bigint, high: bigint): Expression {
  const [first, last] = [low / unit, high / unit]
  const [from, to] = [low % unit, high % unit]
  const whole = (value: bigint, from: bigint, to: bigint) =>
    sequence(literal(`${value}`), fraction(from, to))
  if (first === last) return whole(first, from, to)
  return choice(
    whole(first, from, unit - 1n),
    ...first + 1n < last
      ? [sequence(naturalsBetween(first + 1n, last - 1n), fraction(0n, unit - 1n))]
      : [],
    whole(last, 0n, to),
  )
}

/** A point and up to fifteen digits, or nothing where that may stand for 0. */
function fraction(from: bigint, to: bigint): Expression {
  const padded = (value: bigint) => `${value}`.padStart(places, "0")
  const point = sequence(literal("."), between(padded(from), padded(to), mayBeShorter, true))
  return from === 0n ? choice(sequence(), point) : point
}

/** How digits end. */
interface Length {
  /** Fewer digits than the bounds have stand for zeros at the end. */
  readonly mayEnd: boolean
  /** Any digits, up to as many or as many. */
  readonly rest: (length: number) => Expression
}

const sameLength: Length = { mayEnd: false, rest: (length) => anyDigits(length, length) }
const mayBeShorter: Length = { mayEnd: true, rest: (length) => anyDigits(0, length) }

const areZeros = (digits: string): boolean => /^0*$/.test(digits)

/**
 * Digits from `low` to `high`, which have as many.
 *
 * @param needsOne Whether a digit must stand here, where fewer may.
 */
function between(low: string, high: string, length: Length, needsOne = false): Expression {
  if (low === "") return sequence()
  const [from, to] = [Number(low[0]), Number(high[0])]
  const rest = low.length - 1
  const options: Expression[] = []
  if (length.mayEnd && !needsOne && areZeros(low)) options.push(sequence())
  if (from === to) {
    options.push(sequence(digit(from, from), between(low.slice(1), high.slice(1), length)))
    return choice(...options)
  }
  const nines = "9".repeat(rest)
  const zeros = "0".repeat(rest)
  // What is free whichever digits follow is one option, so that automata stay small.
  const isFreeBelow = areZeros(low.slice(1))
  const isFreeAbove = high.slice(1) === nines
  const [first, last] = [isFreeBelow ? from : from + 1, isFreeAbove ? to : to - 1]
  if (!isFreeBelow) {
    options.push(sequence(digit(from, from), between(low.slice(1), nines, length)))
  }
  if (first <= last) options.push(sequence(digit(first, last), length.rest(rest)))
  if (!isFreeAbove) options.push(sequence(digit(to, to), between(zeros, high.slice(1), length)))
  return choice(...options)
}
