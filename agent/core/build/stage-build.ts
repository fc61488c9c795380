import { createHash } from 'node:crypto';
import type { StoredImage } from '../image/image-table.ts';
import type { RunConfig } from '../image/oci.ts';
import { type NewLayer, withoutEmpty, writeImage } from '../image/write.ts';
import type { Build } from './build.ts';
import { environmentOf } from './changes.ts';
import type { Environment } from './language/shell-words.ts';
import { type StageConfig, shellOf, withEnv } from './metadata.ts';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** One stage while it is built: the image so far, and how that is to be run. */
export class StageBuild {
  readonly it: Build;
  image: StoredImage | undefined;
  config: StageConfig;
  /** A step had to be done: what follows is new as well. */
  #isNew = false;

  constructor(it: Build, base: StoredImage | undefined) {
    this.it = it;
    this.image = base;
    const run = withoutEmpty(base?.config.config ?? {});
    const env = run.Env ?? [];
    const hasPath = env.some((item) => item.startsWith('PATH='));
    this.config = {
      run: hasPath ? run : { ...run, Env: withEnv(env, [{ name: 'PATH', value: DEFAULT_PATH }]) },
      cmdSet: false,
      author: base?.config.author ?? '',
    };
  }

  get run(): RunConfig {
    return this.config.run;
  }

  change(run: RunConfig): void {
    this.config = { ...this.config, run: { ...this.config.run, ...run } };
  }

  /** Variables that instructions see: ARGs, and before them what ENV has set. */
  environment(): Environment {
    return new Map([...this.it.args.stage(), ...environmentOf(this.run)]);
  }

  /** ARGs that ENV does not hide. */
  visibleArgs(): Map<string, string> {
    const env = environmentOf(this.run);
    return new Map([...this.it.args.stage()].filter(([name]) => !env.has(name)));
  }

  /** The command that the history shows for a step which runs none: `/bin/sh -c #(nop) …`. */
  comment(...words: readonly string[]): string[] {
    return [...shellOf(this.run), ...words];
  }

  /** Goes on with the image of an earlier build that did the same from here; false when there is none. */
  async fromCache(command: readonly string[]): Promise<boolean> {
    if (this.#isNew || this.it.options.noCache) return false;
    const key = this.#keyOf(command);
    const { table } = this.it.modules.images.store;
    const found = table.images().find(({ cacheKey, removed }) => cacheKey === key && !removed);
    if (!found) {
      this.#isNew = true;
      return false;
    }
    await this.it.output.text(' ---> Using cache\n');
    this.#go(found);
    return true;
  }

  /** Makes the image of a step that has been done. */
  async commit(command: readonly string[], layer?: NewLayer): Promise<void> {
    const { author, run } = this.config;
    const image = await writeImage(this.it.modules.images.store, {
      base: this.image,
      layer,
      run,
      history: { created_by: command.join(' '), ...(author !== '' && { author }) },
      cacheKey: this.#keyOf(command),
    });
    this.#go(image);
  }

  #go(image: StoredImage): void {
    this.it.keep(image);
    this.image = image;
  }

  /** What a step is done to, and what it does: the same again gives the same. */
  #keyOf(command: readonly string[]): string {
    const parts = [this.image?.id ?? '', command, this.config.author, withoutEmpty(this.run)];
    return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
  }
}
