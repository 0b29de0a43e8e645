// The catalogue of the checks: what `scn explain S1xx` says. Codes are stable; a retired one is never given again.
import type { CodePage } from '../syntax/codes.ts'
import { nameCodes } from './catalogue/names.ts'
import { thingCodes } from './catalogue/things.ts'
import { valueCodes } from './catalogue/values.ts'

/** Every code of this folder. */
export const modelCodes = { ...nameCodes, ...valueCodes, ...thingCodes } as const

/** A code that a check may report. */
export type Code = keyof typeof modelCodes

/** The page of a code, if it is one of this folder. */
export function modelCodePage(code: string): CodePage | undefined {
  const pages: Readonly<Record<string, CodePage>> = modelCodes
  return Object.hasOwn(pages, code) ? pages[code] : undefined
}
