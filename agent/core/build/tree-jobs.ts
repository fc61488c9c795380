import { readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { JobContext, JobTable } from '../image/jobs/jobs.ts';
import { IgnorePatterns } from './ignore.ts';
import { copyFiles } from './tree-copy.ts';
import { hashSources } from './tree-hash.ts';

export type { CopyArgs, CopyResult } from './tree-copy.ts';
export type { HashArgs, HashResult } from './tree-hash.ts';

export interface IgnoreArgs {
  readonly root: string;
  /** The content of the `.dockerignore`. */
  readonly patterns: string;
}

/** What worker threads do for the builder. */
export const treeJobs: Pick<JobTable, 'ignore' | 'hash' | 'copy'> = {
  ignore({ root, patterns }, context) {
    removeIgnored(root, '', new IgnorePatterns(patterns), context);
    return Promise.resolve(undefined);
  },
  hash: (args, context) => Promise.resolve(hashSources(args, context)),
  copy: copyFiles,
};

/** Removes what the patterns match; a folder that they match stays as long as something in it is excepted. */
function removeIgnored(root: string, prefix: string, patterns: IgnorePatterns, context: JobContext): void {
  for (const entry of readdirSync(join(root, prefix), { withFileTypes: true })) {
    context.check();
    const path = prefix + entry.name;
    const isIgnored = patterns.matches(path);
    if (!entry.isDirectory()) {
      if (isIgnored) rmSync(join(root, path), { force: true });
      continue;
    }
    removeIgnored(root, `${path}/`, patterns, context);
    if (isIgnored && readdirSync(join(root, path)).length === 0) rmdirSync(join(root, path));
  }
}
