/** snappyjs ships no types. Both take and return raw blocks, without framing. */
declare module 'snappyjs' {
  export function compress(data: Buffer): Buffer
  /** Throws when the block says that it grows beyond `bytesMax`. */
  export function uncompress(data: Buffer, bytesMax?: number): Buffer
  const snappy: { readonly compress: typeof compress; readonly uncompress: typeof uncompress }
  export default snappy
}
