import { parentPort } from 'node:worker_threads'

parentPort.postMessage({ kind: 'opened', inputs: [], outputs: [] })
parentPort.on('message', ({ kind }) => {
  if (kind === 'run') throw new Error('out of everything')
  parentPort.close()
})
