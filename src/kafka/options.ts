import { z } from 'zod'
import { duration, flag, listOf, object, settings, text } from '../expression/written.ts'

const broker = text({
  pattern: /^(\[[0-9A-Fa-f:.]+\]|[\w.-]+):\d{1,5}(\s*,\s*(\[[0-9A-Fa-f:.]+\]|[\w.-]+):\d{1,5})*$/,
  expected: 'a list of host:port, separated by commas',
})

/** `kafka:`; how to reach the brokers, and the group. */
export const kafkaOptions = object({
  brokers: z
    .union([broker, listOf(broker, 'a list of host:port')])
    .transform((written) =>
      [written].flat().flatMap((part) => part.split(',').map((address) => address.trim())),
    )
    .describe('Brokers to ask first: `host:port`, separated by commas, or a list.'),
  clientId: text().optional().describe("Name shown in the brokers' logs. Default: the topology's name."),
  instance: text({ pattern: /^[\w.-]{0,100}$/, expected: 'a name (letters, digits, . _ -)' })
    .optional()
    .describe(
      'Name of this process: unique in the group, and the same after a restart (a pod of a stateful set, a machine). A member of this name that a crash left in the group is then sent away at the start, instead of being waited for until sessionTimeout. Default: none.',
    ),
  group: text({ pattern: /^[^|]{1,200}$/, expected: 'a group name without |' })
    .optional()
    .describe(
      "Consumer group. Also part of transactional ids and of Redis keys. Default: the topology's name.",
    ),
  sessionTimeout: duration({ min: 1_000, max: 1_800_000 })
    .prefault('6s')
    .describe(
      'After this long without a heartbeat (one every 500 ms) a member is taken for dead and its partitions move. The default is the least that brokers accept by default (group.min.session.timeout.ms). A member thrown out by mistake costs a rebalance, never a wrong result.',
    ),
  transactionTimeout: duration({ min: 1_000, max: 900_000 })
    .prefault('60s')
    .describe(
      'The broker aborts a transaction open for longer. At most transaction.max.timeout.ms (15 m by default).',
    ),
  ssl: z
    .union([flag(), settings('true, false or TLS settings')])
    .prefault(false)
    .describe(
      'true, or TLS settings (ca, cert, key, rejectUnauthorized, servername), handed to the client as they are.',
    ),
  sasl: settings('credentials; write mechanism:, username: and password:')
    .optional()
    .describe(
      'Credentials (mechanism, username, password), handed to the client as they are. Take secrets from ${env:…} or ${file:…}.',
    ),
})

export type KafkaOptions = z.output<typeof kafkaOptions>

/** A topic name as Kafka allows it. */
export const topicName = text({
  pattern: /^(?!\.{1,2}$)[\w.-]{1,249}$/,
  expected: 'a topic name (letters, digits, . _ -, at most 249)',
})
