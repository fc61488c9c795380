import type { Disk, DiskFile } from '#manager/consensus/disk.ts';

export interface ProcessDiskModules {
  readonly disk: Disk;
  /** The process is gone: nothing it still does reaches the disk. */
  readonly isGone: () => boolean;
  /** Ends the process in the middle of what it does. */
  readonly crash: () => void;
  /** Something was made durable, which may have taken its time. */
  readonly synced: () => void;
}

/** The disk as one process uses it, which may end before any of its operations. */
export class ProcessDisk implements Disk {
  readonly #modules: ProcessDiskModules;
  /** So many operations are still carried out. */
  operationsLeft = Number.POSITIVE_INFINITY;

  constructor(modules: ProcessDiskModules) {
    this.#modules = modules;
  }

  makeDirectory(path: string): void {
    this.#operation();
    this.#modules.disk.makeDirectory(path);
  }

  list(path: string): readonly string[] {
    this.#alive();
    return this.#modules.disk.list(path);
  }

  open(path: string, how: 'read' | 'write' | 'create'): DiskFile {
    if (how === 'create') this.#operation();
    else this.#alive();
    return this.#handle(this.#modules.disk.open(path, how));
  }

  rename(from: string, to: string): void {
    this.#operation();
    this.#modules.disk.rename(from, to);
  }

  remove(path: string): void {
    this.#operation();
    this.#modules.disk.remove(path);
  }

  syncDirectory(path: string): void {
    this.#operation();
    this.#modules.disk.syncDirectory(path);
  }

  #handle(file: DiskFile): DiskFile {
    return {
      size: () => file.size(),
      read: (into, at) => {
        this.#alive();
        return file.read(into, at);
      },
      write: (bytes, at) => {
        this.#operation();
        file.write(bytes, at);
      },
      truncate: (bytes) => {
        this.#operation();
        file.truncate(bytes);
      },
      sync: () => {
        this.#operation();
        file.sync();
        this.#modules.synced();
      },
      close: () => file.close(),
    };
  }

  #operation(): void {
    this.#alive();
    this.operationsLeft -= 1;
    if (this.operationsLeft >= 0) return;
    this.#modules.crash();
    this.#alive();
  }

  #alive(): void {
    if (this.#modules.isGone()) throw new Error('this process is gone');
  }
}
