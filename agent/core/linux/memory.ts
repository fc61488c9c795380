import { readFileSync } from 'node:fs';
import { dropPages, trimAllocator } from './sys.ts';

/** A range of the process's memory, as far as its letting go depends on it. */
export interface Mapping {
  readonly start: number;
  readonly bytes: number;
}

/**
 * Gives back memory that the process holds without needing it: free blocks of the allocator, and what of its program has
 * not been of use since; what is of use comes back from the page cache when it is touched.
 */
export function giveBackMemory(): void {
  trimAllocator();
  const smaps = readFileSync('/proc/self/smaps', 'utf8');
  for (const { start, bytes } of parseDroppable(smaps, process.execPath)) dropPages(start, bytes);
}

/**
 * The ranges of `smaps` that are nothing but unchanged pages of the program's own file. They stay what they are for as
 * long as the process lives; those of libraries and other files may be somebody else's memory a moment later.
 */
export function parseDroppable(smaps: string, program: string): Mapping[] {
  return smaps.split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/).flatMap((text) => {
    const head = /^([0-9a-f]+)-([0-9a-f]+) r-[x-]p \S+ \S+ \S+ +(.*)$/m.exec(text);
    if (head?.[3] !== program || !/^Anonymous: +0 kB$/m.test(text)) return [];
    const [start, end] = [head[1], head[2]].map((hex) => Number.parseInt(hex ?? '', 16)) as [number, number];
    return [{ start, bytes: end - start }];
  });
}
