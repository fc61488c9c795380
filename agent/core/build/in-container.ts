import { shortId } from '../image/digest.ts';
import { randomId } from './build.ts';
import type { StageBuild } from './stage-build.ts';

/** Says that a container does the step, and that it is gone afterwards, as `--rm` and `--force-rm` have it. */
export async function inContainer(stage: StageBuild, work: (id: string) => Promise<void>): Promise<void> {
  const { output, options, modules } = stage.it;
  const id = randomId(modules.random);
  await output.text(` ---> Running in ${shortId(id)}\n`);
  const gone = (): Promise<void> => output.text(` ---> Removed intermediate container ${shortId(id)}\n`);
  try {
    await work(id);
  } catch (error) {
    if (options.forceRemove && !stage.it.signal.aborted) await gone();
    throw error;
  }
  if (options.remove || options.forceRemove) await gone();
}
