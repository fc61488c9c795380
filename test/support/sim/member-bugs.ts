import { EntryType, LEAVE_JOINT, MessageType, RawNode } from 'raft-ts';
import type { DiskFile } from '#manager/consensus/disk.ts';
import type { Transport } from '#manager/consensus/transport.ts';
import { SimDisk } from '../../unit/manager/consensus/support/sim-disk.ts';
import { writeOn } from './bugs.ts';
import type { Bug } from './manager.ts';

/*
 * Mistakes that could be made where managers come and go, hand over, go on alone or run out of room, planted to see that
 * the simulation finds them out.
 */

/** A manager that was made a worker and is a manager again speaks as the member that it was, of which it knows nothing. */
export const COMES_BACK_AS_BEFORE: Bug = { keepsOldId: true };

/** Who was let in has a vote before it has anything else. */
export const VOTES_AT_ONCE: Bug = { votesAtOnce: true };

/** In a request for votes: the leader is said to want it. */
const FORCED = Uint8Array.of(1);

/** Nobody refuses to listen to who was removed, and that one asks nobody whether it could win. */
export const REMOVED_ARE_HEARD: Bug = {
  transport(transport, events, isStranger) {
    events.admit = () => undefined;
    return sendingOther(transport, (message) =>
      message.type === MessageType.PreVote && isStranger()
        ? { ...message, type: MessageType.Vote, context: FORCED }
        : message,
    );
  },
};

const HEARTBEATS_A_HANDOVER = 60;
const UNHEARD_A_HANDOVER = 40;

/** Whoever leads asks another to take over now and then, then hears nobody for a while, and rests on its lease. */
export const HANDS_OVER_WITH_A_LEASE: Bug = {
  transport(transport, events) {
    let heartbeats = 0;
    let unheard = 0;
    const received = events.received.bind(events);
    events.received = (messages) => {
      if (unheard > 0) unheard -= 1;
      else received(messages);
    };
    return sendingOther(transport, (message) => {
      if (message.type !== MessageType.Heartbeat) return message;
      heartbeats += 1;
      if (heartbeats % HEARTBEATS_A_HANDOVER !== 0) return message;
      unheard = UNHEARD_A_HANDOVER;
      const { to, from, term } = message;
      return { type: MessageType.TimeoutNow, to, from, term };
    });
  },
};

/** The next leader is never told that it is. */
export const NEVER_HANDS_OVER: Bug = {
  transport: (transport) => ({
    ...facesOf(transport),
    send(message) {
      if (message.type !== MessageType.TimeoutNow) transport.send(message);
    },
  }),
};

/** What finds no room is lost without a word. */
export const SAYS_NOTHING_WHEN_FULL: Bug = { disk: () => new SilentDisk() };

class SilentDisk extends SimDisk {
  override open(path: string, how: 'read' | 'write' | 'create'): DiskFile {
    const file = super.open(path, how);
    const write = (bytes: Uint8Array, at: number): void => {
      try {
        file.write(bytes, at);
      } catch (error) {
        if (!String(error).includes('ENOSPC')) throw error;
      }
    };
    return { ...file, write };
  }
}

/** Whoever goes on alone drops what it did not know to be committed. */
export const DROPS_WHAT_IS_NOT_COMMITTED: Bug = {
  beforeAlone: (disk, stateDir) =>
    writeOn(disk, stateDir, ({ hardState }) => {
      const place = { index: hardState.commit + 1, term: hardState.term };
      return { entries: [{ type: EntryType.Normal, ...place, data: new Uint8Array() }] };
    }),
};

/** While it is not disposed of, no member waits for the voters before a change of several to agree to what comes after. */
export function withoutJointPhase(): Disposable {
  const right = RawNode.prototype.applyConfChange;
  RawNode.prototype.applyConfChange = function (change) {
    const conf = right.call(this, change);
    return conf.votersOutgoing.length > 0 ? right.call(this, LEAVE_JOINT) : conf;
  };
  return {
    [Symbol.dispose]() {
      RawNode.prototype.applyConfChange = right;
    },
  };
}

type Send = Parameters<Transport['send']>[0];

function sendingOther(transport: Transport, change: (message: Send) => Send): Transport {
  return { ...facesOf(transport), send: (message) => transport.send(change(message)) };
}

function facesOf(transport: Transport): Transport {
  return {
    send: (message) => transport.send(message),
    setPeers: (peers) => transport.setPeers(peers),
    introduce: (peer) => transport.introduce(peer),
    hears: (raftId) => transport.hears(raftId),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}
