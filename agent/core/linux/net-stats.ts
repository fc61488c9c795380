import { readFileSync } from 'node:fs';

/** Counters of one network interface. */
export interface InterfaceStats {
  readonly rx_bytes: number;
  readonly rx_packets: number;
  readonly rx_errors: number;
  readonly rx_dropped: number;
  readonly tx_bytes: number;
  readonly tx_packets: number;
  readonly tx_errors: number;
  readonly tx_dropped: number;
}

/** Interfaces of the network namespace of a process, without the loopback. Empty when it is gone. */
export function readInterfaceStats(pid: number): Record<string, InterfaceStats> {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/net/dev`, 'latin1');
  } catch {
    return {};
  }
  const rows = text
    .trim()
    .split('\n')
    .slice(2)
    .map((line) => line.trim().split(/[:\s]+/));
  return Object.fromEntries(
    rows.filter(([name]) => name !== 'lo').map(([name, ...values]) => [name, statsOf(values)]),
  );
}

function statsOf(values: readonly string[]): InterfaceStats {
  const at = (index: number): number => Number(values[index] ?? 0);
  return {
    rx_bytes: at(0),
    rx_packets: at(1),
    rx_errors: at(2),
    rx_dropped: at(3),
    tx_bytes: at(8),
    tx_packets: at(9),
    tx_errors: at(10),
    tx_dropped: at(11),
  };
}

/** CPU time of the whole machine since boot, idle time included, in nanoseconds. */
export function machineCpuNs(): number {
  const [, ...ticks] = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0]?.trim().split(/\s+/) ?? [];
  return ticks.slice(0, 8).reduce((sum, value) => sum + Number(value), 0) * NS_PER_TICK;
}

const NS_PER_TICK = 10_000_000;
