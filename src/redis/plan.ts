export interface RedisPlan {
  /** As written (address.ts); passwords are redacted in logs. */
  readonly url: string
}
