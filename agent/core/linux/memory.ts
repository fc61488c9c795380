import { readFileSync } from 'node:fs';
import { dropPages, trimAllocator } from './sys.ts';

/** A range of the process's memory, as far as its letting go depends on it. */
export interface Mapping {
  readonly start: number;
  readonly bytes: number;
}

/**
 * Gives back memory that the process holds without needing it: free blocks of the allocator, and code and constants of
 * programs that have not been of use since; what is of use comes back from the page cache when it is touched.
 */
export function giveBackMemory(): void {
  trimAllocator();
  for (const { start, bytes } of parseDroppable(readFileSync('/proc/self/smaps', 'utf8'))) {
    dropPages(start, bytes);
  }
}

/** What `smaps` lists that is nothing but unchanged pages of files. */
export function parseDroppable(smaps: string): Mapping[] {
  return smaps.split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/).flatMap((text) => {
    const head = /^([0-9a-f]+)-([0-9a-f]+) r-[x-]p \S+ \S+ \S+ +\//.exec(text);
    if (head === null || !/^Anonymous: +0 kB$/m.test(text)) return [];
    const [start, end] = [head[1], head[2]].map((hex) => Number.parseInt(hex ?? '', 16)) as [number, number];
    return [{ start, bytes: end - start }];
  });
}
