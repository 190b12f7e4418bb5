export interface BatchPlan {
  /** Queue plus scoring time the cap is learned against, ms. */
  readonly targetMs: number
  readonly rowsMax: number
}
