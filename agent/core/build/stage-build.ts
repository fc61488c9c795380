import { createHash } from 'node:crypto';
import type { StoredImage } from '../image/image-table.ts';
import type { RunConfig } from '../image/oci.ts';
import { type NewImage, type NewLayer, withoutEmpty, writeImage } from '../image/write.ts';
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
    const found = this.#knownHere(command) ?? (await this.#knownToSources(command));
    if (!found) {
      this.#isNew = true;
      return false;
    }
    await this.it.output.text(' ---> Using cache\n');
    this.#go(found);
    return true;
  }

  /** Where other images were named, only what led to them counts. */
  #knownHere(command: readonly string[]): StoredImage | undefined {
    const { modules, cacheSources } = this.it;
    const key = this.#keyOf(command);
    const found = modules.images.store.table
      .images()
      .find(({ cacheKey, removed }) => cacheKey === key && !removed);
    return found && (cacheSources.isEmpty || cacheSources.cameFrom(found)) ? found : undefined;
  }

  async #knownToSources(command: readonly string[]): Promise<StoredImage | undefined> {
    const step = this.it.cacheSources.step(this.image, command.join(' '));
    if (!step) return undefined;
    if (step.isLast) return await this.#remember(command, step.image);
    const { history, layer } = step;
    return await this.#write(command, { layer, history, created: history.created });
  }

  /** An image from elsewhere that turned out to be what this step leads to is found here from now on. */
  async #remember(command: readonly string[], image: StoredImage): Promise<StoredImage> {
    if (image.cacheKey !== undefined) return image;
    const parent = this.image?.id;
    const known = { ...image, cacheKey: this.#keyOf(command), ...(parent !== undefined && { parent }) };
    await this.it.modules.images.store.table.change((edit) => edit.put(known));
    return known;
  }

  /** Makes the image of a step that has been done. */
  async commit(command: readonly string[], layer?: NewLayer): Promise<void> {
    const { author } = this.config;
    const history = { created_by: command.join(' '), ...(author !== '' && { author }) };
    this.#go(await this.#write(command, { layer, history }));
  }

  async #write(
    command: readonly string[],
    made: Pick<NewImage, 'layer' | 'history' | 'created'>,
  ): Promise<StoredImage> {
    const { modules } = this.it;
    const cacheKey = this.#keyOf(command);
    return await writeImage(modules.images.store, { base: this.image, run: this.run, cacheKey, ...made });
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
