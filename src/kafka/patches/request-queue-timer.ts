import type { Patchable, RequestQueue } from '../internals.ts'

/**
 * P-A. After every answer kafkajs schedules a check of its pending requests, also when there are none, with a
 * delay that lies in the past: the timer re-arms itself every millisecond for as long as the connection lives
 * (900 callbacks a second for one idle connection, and a TimeoutNegativeWarning). Without pending requests
 * there is nothing to check: a request that has to wait schedules its own check when it is queued.
 */
export function patchRequestQueueTimer(requestQueue: Patchable<RequestQueue>): void {
  const schedule = requestQueue.prototype.scheduleCheckPendingRequests
  requestQueue.prototype.scheduleCheckPendingRequests = function (this: RequestQueue): void {
    if (this.pending.length > 0) schedule.call(this)
  }
}
