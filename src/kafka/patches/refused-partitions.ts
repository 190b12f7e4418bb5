interface PartitionError {
  readonly partition: number
  readonly errorCode: number
}

/** Answer of a broker to AddPartitionsToTxn. */
export interface AddPartitionsAnswer {
  readonly errors: readonly { readonly topic: string; readonly partitionErrors: readonly PartitionError[] }[]
}

/** Throws for the first partition with an error. */
export interface AnswerParser {
  parse(answer: AddPartitionsAnswer): Promise<unknown>
}

const topicAuthorisationFailed = 29

/**
 * P-I. When one of several topics may not be written, the broker refuses them all and says so of that one only; the others
 * are OPERATION_NOT_ATTEMPTED. kafkajs throws the first error in the answer, whose order is the broker's: a missing right
 * would look like trouble that passes. Here the topic that may not be written speaks, and is named. Other answers stay as they are.
 */
export function patchRefusedPartitions(parser: AnswerParser): void {
  const { parse } = parser
  parser.parse = (answer) => {
    const refused = answer.errors.filter(({ partitionErrors }) =>
      partitionErrors.some(({ errorCode }) => errorCode === topicAuthorisationFailed),
    )
    if (refused.length === 0) return parse(answer)
    return parse({ ...answer, errors: refused }).catch((error: unknown) => {
      if (error instanceof Error) error.message += ` (topic ${refused.map(({ topic }) => topic).join(', ')})`
      throw error
    })
  }
}
