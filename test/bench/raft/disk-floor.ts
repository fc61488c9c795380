import { closeSync, fdatasyncSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { quantile } from './load.ts';

const RECORD_BYTES = 4096;
const FILE_BYTES = 16 * 1024 * 1024;

/** What one durable append of 4 KiB costs, in microseconds: into blocks that were filled with zeros before. */
export function appendUs(directory: string, appends: number): number[] {
  const path = join(directory, 'floor');
  const file = openSync(path, 'w');
  try {
    for (let at = 0; at < FILE_BYTES; at += FILE_BYTES / 16)
      writeSync(file, Buffer.alloc(FILE_BYTES / 16), 0, null, at);
    fsyncSync(file);
    const record = Buffer.alloc(RECORD_BYTES, 7);
    return Array.from({ length: appends }, (_, count) => {
      const beganMs = performance.now();
      writeSync(file, record, 0, RECORD_BYTES, (count * RECORD_BYTES) % FILE_BYTES);
      fdatasyncSync(file);
      return (performance.now() - beganMs) * 1000;
    });
  } finally {
    closeSync(file);
    rmSync(path);
  }
}

/** The median of many. */
export function diskFloorUs(directory: string): number {
  return quantile(appendUs(directory, 1_000), 0.5);
}
