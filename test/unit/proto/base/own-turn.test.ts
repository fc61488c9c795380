import test from 'ava';
import { ownTurn } from '#proto/base/own-turn.ts';

test.serial(
  'own turn: of several who work in slices, one works in each turn of the loop, one after the other',
  async (t) => {
    const worked: [number, string][] = [];
    let turn = 0;
    let isOver = false;
    const count = (): void => {
      turn++;
      if (!isOver) setImmediate(count);
    };
    count();
    const work = async (name: string): Promise<void> => {
      for (let slice = 0; slice < 3; slice++) {
        await ownTurn();
        worked.push([turn, name]);
      }
    };
    await Promise.all(['a', 'b', 'c'].map(work));
    isOver = true;
    t.is(new Set(worked.map(([at]) => at)).size, 9);
    t.is(worked.map(([, name]) => name).join(''), 'abcabcabc');
  },
);
