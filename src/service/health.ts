import type { Health, HealthReport } from './http.ts'
import type { Service } from './service.ts'

/**
 * Probes of one instance; null while it opens. They look at what the service knows and call nobody:
 * a dead Kafka or Redis makes it unready, never dead (a restart would not mend it). Where nothing comes in, a dead Kafka
 * is noticed after half a minute.
 */
export function serviceHealth(current: () => Service | null): Health {
  const up = (detail: string): HealthReport => ({ ok: true, detail })
  const down = (detail: string): HealthReport => ({ ok: false, detail })
  return {
    // That this answers shows that the event loop turns; a failed partition ends the process by itself.
    live: () => {
      const service = current()
      if (service === null) return up('starting')
      return service.phase === 'failed' ? down('failed') : up(service.phase)
    },
    ready: () => {
      const service = current()
      if (service === null) return down('starting')
      if (service.phase !== 'running') return down(service.phase)
      if (!service.redis.answering) return down('Redis does not answer')
      if (service.stateRefusal !== null) return down(service.stateRefusal)
      const waiting = service.tasks.tasks.filter((task) => !['serving', 'paused'].includes(task.status))
      if (waiting.length === 0) return up(`${service.tasks.tasks.length} partitions served`)
      const names = waiting.map(
        (task) => `${task.stream.input.topic}:${task.stream.input.partition} ${task.status}`,
      )
      return down(names.slice(0, 8).join(', '))
    },
    started: () => {
      const service = current()
      return service === null ? down('starting') : up(service.phase)
    },
  }
}
