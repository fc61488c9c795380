import type { Peer } from './peer.ts';

/** Debian's Docker engine, with what it starts. */
export const DOCKERD: Peer = {
  name: 'dockerd',
  programs: ['dockerd', 'containerd', 'containerd-shim-runc-v2', 'runc'],
  packages: ['docker.io', 'containerd', 'runc'],
  needs: ['iptables', 'libdevmapper1.02.1', 'libsystemd0', 'libseccomp2'],
};
