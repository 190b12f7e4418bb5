import { isUtf8 } from 'node:buffer'
import { Ajv, type FuncKeywordDefinition, type Options, type ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import ajvFormats from 'ajv-formats'
import { MillraceError } from '../errors.ts'
import { linearPattern } from '../expression/linear-pattern.ts'
import {
  decimalMultipleOf,
  exactKeywords,
  forExactKeywords,
  linearUniqueItems,
  standIns,
} from './exact-keywords.ts'
import type { Fields } from '../record/event.ts'
import { rewritten, unmarked } from './escaped-names.ts'
import { Fault } from './fault.ts'
import { foreignBytes, withoutBom } from './foreign-bytes.ts'
import { holdsLarge, parseExact } from './json-numbers.ts'
import { compileJsonScan } from './json-scan.ts'
import type { JsonCodecPlan } from './plan.ts'
import { schemaFault } from './schema-fault.ts'

type JsonRead = (bytes: Buffer) => Fields | Fault

/**
 * JSON bytes → fields. The schema is compiled once. With `fieldsRead`, only those members of an event need be in its fields:
 * plain valid events are then read by a scanner (json-scan.ts), and all that it abstains from as without it.
 */
export function compileJsonCodec(plan: JsonCodecPlan, fieldsRead: readonly string[] | null = null): JsonRead {
  const parse = compileParser(plan)
  const scan = fieldsRead === null ? null : compileJsonScan(plan.schema, fieldsRead)
  return scan === null ? parse : (bytes) => scan(bytes) ?? parse(bytes)
}

/** All members; what is not valid, and why. */
function compileParser(plan: JsonCodecPlan): JsonRead {
  const validate = compileSchema(plan, plan.schema, [decimalMultipleOf, linearUniqueItems])
  const validateExact = compileSchema(
    plan,
    forExactKeywords(plan.exactSchema ?? plan.schema) as object,
    exactKeywords,
  )
  return (bytes) => {
    if (!isUtf8(bytes)) return new Fault('DECODE', `the value is not valid UTF-8${foreignBytes(bytes)}`)
    let text = withoutBom(bytes).toString('utf8')
    let parsed: unknown
    let isRewritten = false
    try {
      parsed = JSON.parse(text)
      const again = rewritten(text, parsed)
      if (again !== null) {
        isRewritten = true
        text = again
        parsed = unmarked(JSON.parse(text))
      }
    } catch (error) {
      return new Fault('DECODE', `the value is not JSON: ${(error as Error).message}${foreignBytes(bytes)}`)
    }
    try {
      if (holdsLarge(parsed)) {
        const exact = parseExact(text)
        if (exact instanceof Fault) return exact
        if (isRewritten) unmarked(exact)
        if (!validateExact.call(exact, standIns(exact))) return schemaFault(validateExact.errors, exact)
        parsed = exact
      } else if (!validate(parsed)) return schemaFault(validate.errors)
    } catch {
      // Out of stack: a recursive schema, or large numbers, in a value that is nested too deep.
      return new Fault('SCHEMA', 'at /: the value is nested too deep to be checked')
    }
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
      return new Fault('SCHEMA', 'at /: expected object, found another type')
    }
    return parsed as Fields
  }
}

/**
 * The first violation is enough (a dead letter needs one reason). Unknown keywords are allowed, as the standard says:
 * teams annotate their schemas. The parsed value is never changed (no coercion, no defaults): the log is the truth.
 */
const options: Options = {
  strict: false,
  verbose: true,
  logger: false,
  passContext: true,
  // Values of events meet these patterns: no text may take longer than in proportion to its length.
  code: { regExp: Object.assign((pattern: string) => linearPattern(pattern), { code: 'linearPattern' }) },
}

const drafts = [
  { pattern: /draft\/2020-12\/schema#?$/, create: (own: Options): Ajv => new Ajv2020(own) },
  { pattern: /draft-07\/schema#?$/, create: (own: Options): Ajv => new Ajv(own) },
]

/** `keywords`: take the place of ajv's own of that name. */
function compileSchema(
  { schema: written, schemaPath }: JsonCodecPlan,
  schema: object,
  keywords: readonly FuncKeywordDefinition[],
): ValidateFunction {
  const named = '$schema' in schema ? String(schema.$schema) : 'https://json-schema.org/draft/2020-12/schema'
  const draft = drafts.find(({ pattern }) => pattern.test(named))
  if (draft === undefined) {
    throw new MillraceError(
      'TOPOLOGY_INVALID',
      `${schemaPath}: $schema is ${named}; drafts 2020-12 and 07 are understood`,
    )
  }
  // The schema of schemas knows no bigints, and has seen the file as it is written.
  const ajv = draft.create({ ...options, validateSchema: schema === written })
  ajvFormats.default(ajv)
  ajv.addFormat('int64', {
    type: 'number',
    validate: (value) => Number.isInteger(value) && Math.abs(value) < 2 ** 63,
  })
  for (const keyword of keywords) ajv.removeKeyword(keyword.keyword as string).addKeyword(keyword)
  try {
    const validate = ajv.compile(schema)
    if ('$async' in validate) throw new Error('$async schemas ask questions of the world, a codec must not')
    return validate
  } catch (error) {
    throw new MillraceError(
      'TOPOLOGY_INVALID',
      `${schemaPath}: not a usable JSON Schema: ${(error as Error).message}`,
      { cause: error },
    )
  }
}
