import type { JobTable } from '../image/work/jobs.ts';
export interface CopyArgs {
  readonly x: string;
}
export interface CopyResult {
  readonly x: string;
}
export interface HashArgs {
  readonly x: string;
}
export interface HashResult {
  readonly x: string;
}
export interface IgnoreArgs {
  readonly x: string;
}
export const treeJobs: Partial<JobTable> = {};
