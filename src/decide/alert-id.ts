import { hash } from 'node:crypto'
import { nameSeparator } from '../record/input.ts'
import type { Prediction } from '../record/prediction.ts'

/**
 * 128 bits of SHA-256 over incarnation and position, hex. The same record in the same incarnation always gets the same
 * id, so a retried transaction cannot raise a second alert; two events that share an event id do not collide.
 */
export function alertId(incarnation: string, position: Prediction['position']): string {
  const name = [incarnation, position.topic, position.partition, position.offset].join(nameSeparator)
  return hash('sha256', name, 'hex').slice(0, 32)
}
