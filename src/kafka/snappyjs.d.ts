/** snappyjs ships no types. It writes raw blocks, without framing. */
declare module 'snappyjs' {
  export function compress(data: Buffer): Buffer
  const snappy: { readonly compress: typeof compress }
  export default snappy
}
