export interface RedisPlan {
  /** redis:// or rediss:// address; passwords are redacted in logs. */
  readonly url: string
}
