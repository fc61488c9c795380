// Generated from proto/*.proto by proto/generate.ts (`npm run gen`). Do not edit.
/** A decoded message: absent messages and optional fields are null or undefined, 64-bit numbers are numbers. */
export interface GetRootCaRequest {

}
export interface GetRootCaReply {
  certificate: string;
}
export interface IssueCertificateRequest {
  csr: string;
  token: string;
  availability: string;
  forNode: string;
}
export interface IssueCertificateReply {
  certificate: string;
  rootCertificates: string;
  nodeId: string;
  role: string;
}
export interface ResolveRequest {
  reference: string;
}
export interface ResolveReply {
  found: boolean;
  digest: string;
  mediaType: string;
  size: number;
  platforms: ResolveReplyPlatform[];
  mayHaveMoved: boolean;
}
export interface ResolveReplyPlatform {
  architecture: string;
  os: string;
  variant: string;
}
export interface HaveRequest {
  digests: string[];
}
export interface HaveReply {
  digests: string[];
  readsInProgress: number;
}
export interface ReadRequest {
  digest: string;
  offset: number;
  length: number;
}
export interface ReadChunk {
  data: Uint8Array;
}
export interface TurnRequest {
  digest: string;
  failed: boolean;
}
export interface TurnReply {
  granted: boolean;
  fetching: string[];
}
export interface HttpCall {
  method: string;
  target: string;
  headers: Record<string, string>;
  body: Uint8Array;
}
export interface HttpReply {
  status: number;
  headers: Record<string, string>;
  body: Uint8Array;
}
export interface ReadIndexRequest {

}
export interface ReadIndexReply {
  index: number;
}
export interface AgentMessage {
  hello?: AgentMessageHello | null | undefined;
  heartbeat?: AgentMessageHeartbeat | null | undefined;
  reports?: AgentMessageReports | null | undefined;
  networkReady?: AgentMessageNetworkReady | null | undefined;
  goodbye?: AgentMessageGoodbye | null | undefined;
}
export interface AgentMessageHello {
  description?: NodeDescription | null | undefined;
  known?: AgentMessageKnown | null | undefined;
}
export interface AgentMessageKnown {
  epoch: number;
  version: number;
  networks: string[];
  revisions: RevisionKey[];
}
export interface AgentMessageHeartbeat {

}
export interface AgentMessageTaskReport {
  taskId: string;
  status?: TaskStatus | null | undefined;
}
export interface AgentMessageReports {
  serial: number;
  reports: AgentMessageTaskReport[];
}
export interface AgentMessageNetworkReady {
  version: number;
}
export interface AgentMessageGoodbye {
  reason: string;
}
export interface ManagerMessage {
  welcome?: ManagerMessageWelcome | null | undefined;
  assignments?: Assignments | null | undefined;
  reportsStored?: ManagerMessageReportsStored | null | undefined;
  cluster?: ManagerMessageClusterInfo | null | undefined;
  more: boolean;
}
export interface ManagerMessageWelcome {
  sessionId: string;
  heartbeatPeriodMs: number;
  epoch: number;
}
export interface ManagerMessageReportsStored {
  serial: number;
}
export interface ManagerMessageClusterInfo {
  managers: ManagerAddr[];
  role: string;
  rootCertificates: string;
}
export interface ManagerAddr {
  nodeId: string;
  addr: string;
}
export interface Assignments {
  complete: boolean;
  appliesTo: number;
  version: number;
  self?: NodeSelf | null | undefined;
  putTasks: AssignedTask[];
  removeTasks: string[];
  putRevisions: Revision[];
  removeRevisions: RevisionKey[];
  putPeers: NetworkPeer[];
  removePeers: string[];
  putNetworks: NetworkInfo[];
  removeNetworks: string[];
  putServices: ServiceInfo[];
  removeServices: string[];
  putEndpoints: EndpointInfo[];
  removeEndpoints: string[];
}
export interface RevisionKey {
  serviceId: string;
  specVersion: number;
}
export interface NodeSelf {
  nodeId: string;
  meshPool: string;
  meshIndex: number;
  dataPathPort: number;
  labels?: StringMap | null | undefined;
}
export interface AssignedTask {
  id: string;
  serviceId: string;
  specVersion: number;
  slot: number;
  desired: number;
  state: number;
  networks: NetworkAttachment[];
  released: boolean;
  leavingVersion?: number | null | undefined;
}
export interface NetworkPeer {
  nodeId: string;
  meshIndex: number;
  dataPathAddr: string;
  addresses: string[];
  peerAddr: string;
  up: boolean;
}
export interface NetworkInfo {
  id: string;
  name: string;
  driver: string;
  vni: number;
  subnet: string;
  gateway: string;
  internal: boolean;
  attachable: boolean;
  options?: StringMap | null | undefined;
  labels?: StringMap | null | undefined;
}
export interface ServiceInfo {
  id: string;
  name: string;
  endpoint?: Endpoint | null | undefined;
}
export interface EndpointInfo {
  taskId: string;
  serviceId: string;
  nodeId: string;
  active: boolean;
  networks: NetworkAttachment[];
  meshAddr?: string | null | undefined;
  names: string[];
}
export interface NodeReports {
  managerId: string;
  nodes: NodeReport[];
  settledVersion: number;
}
export interface NodeReport {
  nodeId: string;
  alive: boolean;
  gone?: string | null | undefined;
  description?: NodeDescription | null | undefined;
  addr: string;
  networkReadyVersion?: number | null | undefined;
  reports: AgentMessageTaskReport[];
  silentMs: number;
}
export interface NodeReportsReply {
  version: number;
  resend: boolean;
}
export interface Stored {
  version: number;
  createdAtMs: number;
  updatedAtMs: number;
}
export interface Cluster {
  stored?: Stored | null | undefined;
  id: string;
  spec?: ClusterSpec | null | undefined;
  rootCa?: RootCa | null | undefined;
  workerJoinSecret: string;
  managerJoinSecret: string;
  addressPools: string[];
  subnetBits: number;
  meshPool: string;
  dataPathPort: number;
  epoch: number;
  unlockKey?: string | null | undefined;
}
export interface RootCa {
  certificate: string;
  key?: string | null | undefined;
  digest: string;
}
export interface Node {
  stored?: Stored | null | undefined;
  id: string;
  spec?: NodeSpec | null | undefined;
  role: string;
  description?: NodeDescription | null | undefined;
  status?: NodeStatus | null | undefined;
  manager?: ManagerStatus | null | undefined;
  meshIndex?: number | null | undefined;
  certificateExpiresAtMs?: number | null | undefined;
  specVersion?: number | null | undefined;
}
export interface NodeDescription {
  hostname: string;
  architecture: string;
  os: string;
  nanoCpus: number;
  memoryBytes: number;
  generic?: GenericResourceList | null | undefined;
  engineVersion: string;
  engineLabels?: StringMap | null | undefined;
  plugins?: NodeDescriptionPluginList | null | undefined;
  peerAddr: string;
  dataPathAddr: string;
  addresses?: StringList | null | undefined;
}
export interface NodeDescriptionPlugin {
  type: string;
  name: string;
}
export interface NodeDescriptionPluginList {
  items: NodeDescriptionPlugin[];
}
export interface NodeStatus {
  state: string;
  message?: string | null | undefined;
  addr?: string | null | undefined;
  sinceMs?: number | null | undefined;
}
export interface ManagerStatus {
  raftId: number;
  addr: string;
  raftAddr: string;
  leader?: boolean | null | undefined;
  reachability: string;
}
export interface Service {
  stored?: Stored | null | undefined;
  id: string;
  spec?: ServiceSpec | null | undefined;
  specVersion: number;
  previousSpec?: ServiceSpec | null | undefined;
  previousSpecVersion?: number | null | undefined;
  endpoint?: Endpoint | null | undefined;
  update?: UpdateStatus | null | undefined;
  tasksMade: number;
  pendingDelete?: boolean | null | undefined;
}
export interface Endpoint {
  mode: string;
  ports: PortConfig[];
  vips: VirtualIp[];
}
export interface VirtualIp {
  networkId: string;
  addr: string;
}
export interface UpdateStatus {
  state: string;
  startedAtMs: number;
  completedAtMs?: number | null | undefined;
  message: string;
  targetVersion: number;
}
export interface Revision {
  stored?: Stored | null | undefined;
  serviceId: string;
  specVersion: number;
  task?: TaskSpec | null | undefined;
  serviceName: string;
  serviceLabels?: StringMap | null | undefined;
  ports?: PortConfigList | null | undefined;
}
export interface Task {
  stored?: Stored | null | undefined;
  id: string;
  serviceId: string;
  specVersion: number;
  slot: number;
  nodeId?: string | null | undefined;
  desired: number;
  status?: TaskStatus | null | undefined;
  networks: NetworkAttachment[];
  startAfterMs?: number | null | undefined;
  leavingVersion?: number | null | undefined;
  released?: boolean | null | undefined;
  attempt?: number | null | undefined;
}
export interface TaskStatus {
  state: number;
  atMs: number;
  message: string;
  error?: string | null | undefined;
  container?: TaskStatusContainer | null | undefined;
  meshAddr?: string | null | undefined;
  ports?: PortConfigList | null | undefined;
  startedAtMs?: number | null | undefined;
}
export interface TaskStatusContainer {
  id: string;
  pid?: number | null | undefined;
  exitCode?: number | null | undefined;
}
export interface NetworkAttachment {
  networkId: string;
  addresses: string[];
  aliases?: StringList | null | undefined;
}
export interface Network {
  stored?: Stored | null | undefined;
  id: string;
  spec?: NetworkSpec | null | undefined;
  vni?: number | null | undefined;
  ipam?: IpamConfigList | null | undefined;
  pendingDelete?: boolean | null | undefined;
}
export interface StringList {
  items: string[];
}
export interface StringMap {
  entries: Record<string, string>;
}
export interface ServiceSpec {
  name: string;
  labels?: StringMap | null | undefined;
  task?: TaskSpec | null | undefined;
  mode?: ServiceMode | null | undefined;
  update?: UpdateConfig | null | undefined;
  rollback?: UpdateConfig | null | undefined;
  endpoint?: EndpointSpec | null | undefined;
}
export interface ServiceMode {
  replicated?: ServiceModeReplicated | null | undefined;
  global?: ServiceModeGlobal | null | undefined;
  replicatedJob?: ServiceModeReplicatedJob | null | undefined;
  globalJob?: ServiceModeGlobalJob | null | undefined;
}
export interface ServiceModeReplicated {
  replicas: number;
}
export interface ServiceModeGlobal {

}
export interface ServiceModeReplicatedJob {
  maxConcurrent: number;
  totalCompletions: number;
}
export interface ServiceModeGlobalJob {

}
export interface UpdateConfig {
  parallelism?: number | null | undefined;
  delayNs?: number | null | undefined;
  failureAction?: string | null | undefined;
  monitorNs?: number | null | undefined;
  maxFailureRatio?: number | null | undefined;
  order?: string | null | undefined;
}
export interface TaskSpec {
  container?: ContainerSpec | null | undefined;
  resources?: ResourceRequirements | null | undefined;
  restart?: RestartPolicy | null | undefined;
  placement?: Placement | null | undefined;
  networks?: NetworkAttachmentConfigList | null | undefined;
  logDriver?: Driver | null | undefined;
  forceUpdate?: number | null | undefined;
  runtime?: string | null | undefined;
}
export interface Driver {
  name: string;
  options?: StringMap | null | undefined;
}
export interface NetworkAttachmentConfigList {
  items: NetworkAttachmentConfig[];
}
export interface NetworkAttachmentConfig {
  target: string;
  aliases?: StringList | null | undefined;
  driverOpts?: StringMap | null | undefined;
}
export interface RestartPolicy {
  condition?: string | null | undefined;
  delayNs?: number | null | undefined;
  maxAttempts?: number | null | undefined;
  windowNs?: number | null | undefined;
}
export interface Placement {
  constraints?: StringList | null | undefined;
  preferences?: StringList | null | undefined;
  maxReplicas?: number | null | undefined;
  platforms?: PlatformList | null | undefined;
}
export interface PlatformList {
  items: Platform[];
}
export interface Platform {
  architecture?: string | null | undefined;
  os?: string | null | undefined;
}
export interface ResourceRequirements {
  limits?: ResourceLimits | null | undefined;
  reservations?: Resources | null | undefined;
}
export interface Resources {
  nanoCpus?: number | null | undefined;
  memoryBytes?: number | null | undefined;
  generic?: GenericResourceList | null | undefined;
}
export interface ResourceLimits {
  nanoCpus?: number | null | undefined;
  memoryBytes?: number | null | undefined;
  pids?: number | null | undefined;
}
export interface GenericResourceList {
  items: GenericResource[];
}
export interface GenericResource {
  kind: string;
  named?: string | null | undefined;
  count?: number | null | undefined;
}
export interface ContainerSpec {
  image: string;
  labels?: StringMap | null | undefined;
  command?: StringList | null | undefined;
  args?: StringList | null | undefined;
  hostname?: string | null | undefined;
  env?: StringList | null | undefined;
  dir?: string | null | undefined;
  user?: string | null | undefined;
  groups?: StringList | null | undefined;
  privileges?: Privileges | null | undefined;
  init?: boolean | null | undefined;
  stopSignal?: string | null | undefined;
  tty?: boolean | null | undefined;
  openStdin?: boolean | null | undefined;
  readOnly?: boolean | null | undefined;
  mounts?: MountList | null | undefined;
  stopGracePeriodNs?: number | null | undefined;
  healthcheck?: Healthcheck | null | undefined;
  hosts?: StringList | null | undefined;
  dns?: DnsConfig | null | undefined;
  isolation?: string | null | undefined;
  sysctls?: StringMap | null | undefined;
  capabilityAdd?: StringList | null | undefined;
  capabilityDrop?: StringList | null | undefined;
  ulimits?: UlimitList | null | undefined;
  oomScoreAdj?: number | null | undefined;
  registryAuth?: RegistryAuth | null | undefined;
}
export interface RegistryAuth {
  username?: string | null | undefined;
  password?: string | null | undefined;
  identitytoken?: string | null | undefined;
  registrytoken?: string | null | undefined;
  serveraddress?: string | null | undefined;
}
export interface Privileges {
  noNewPrivileges?: boolean | null | undefined;
  seccomp?: PrivilegesSeccomp | null | undefined;
  apparmor?: PrivilegesApparmor | null | undefined;
}
export interface PrivilegesSeccomp {
  mode: string;
  profile?: string | null | undefined;
}
export interface PrivilegesApparmor {
  mode: string;
}
export interface Healthcheck {
  test?: StringList | null | undefined;
  intervalNs?: number | null | undefined;
  timeoutNs?: number | null | undefined;
  startPeriodNs?: number | null | undefined;
  startIntervalNs?: number | null | undefined;
  retries?: number | null | undefined;
}
export interface DnsConfig {
  nameservers?: StringList | null | undefined;
  search?: StringList | null | undefined;
  options?: StringList | null | undefined;
}
export interface UlimitList {
  items: Ulimit[];
}
export interface Ulimit {
  name: string;
  hard: number;
  soft: number;
}
export interface MountList {
  items: Mount[];
}
export interface Mount {
  type: string;
  source?: string | null | undefined;
  target: string;
  readOnly?: boolean | null | undefined;
  consistency?: string | null | undefined;
  bind?: MountBind | null | undefined;
  volume?: MountVolume | null | undefined;
  tmpfs?: MountTmpfs | null | undefined;
}
export interface MountBind {
  propagation?: string | null | undefined;
  nonRecursive?: boolean | null | undefined;
  createMountpoint?: boolean | null | undefined;
}
export interface MountVolumeDriver {
  name?: string | null | undefined;
  options?: StringMap | null | undefined;
}
export interface MountVolume {
  noCopy?: boolean | null | undefined;
  labels?: StringMap | null | undefined;
  subpath?: string | null | undefined;
  driver?: MountVolumeDriver | null | undefined;
}
export interface MountTmpfs {
  sizeBytes?: number | null | undefined;
  mode?: number | null | undefined;
}
export interface EndpointSpec {
  mode?: string | null | undefined;
  ports?: PortConfigList | null | undefined;
}
export interface PortConfigList {
  items: PortConfig[];
}
export interface PortConfig {
  name?: string | null | undefined;
  protocol: string;
  targetPort: number;
  publishedPort?: number | null | undefined;
  publishMode: string;
}
export interface NodeSpec {
  name?: string | null | undefined;
  labels?: StringMap | null | undefined;
  role: string;
  availability: string;
}
export interface NetworkSpec {
  name: string;
  labels?: StringMap | null | undefined;
  driver?: string | null | undefined;
  options?: StringMap | null | undefined;
  ipv6?: boolean | null | undefined;
  internal?: boolean | null | undefined;
  attachable?: boolean | null | undefined;
  ingress?: boolean | null | undefined;
  ipam?: IpamOptions | null | undefined;
}
export interface IpamOptions {
  driver?: string | null | undefined;
  options?: StringMap | null | undefined;
  configs?: IpamConfigList | null | undefined;
}
export interface IpamConfigList {
  items: IpamConfig[];
}
export interface IpamConfig {
  subnet?: string | null | undefined;
  range?: string | null | undefined;
  gateway?: string | null | undefined;
  auxiliary?: StringMap | null | undefined;
}
export interface ClusterSpec {
  name: string;
  labels?: StringMap | null | undefined;
  taskHistoryPerSlot: number;
  snapshotEveryEntries: number;
  logEntriesForSlowFollowers: number;
  keepOldSnapshots: number;
  electionTicks: number;
  heartbeatTicks: number;
  heartbeatPeriodNs: number;
  nodeCertExpiryNs: number;
  autoLockManagers: boolean;
  defaultLogDriver?: Driver | null | undefined;
}
export interface LogRequest {
  taskId: string;
  stdout: boolean;
  stderr: boolean;
  follow: boolean;
  sinceNs: string;
  untilNs: string;
  tail: number;
}
export interface LogRecords {
  records: LogRecord[];
}
export interface LogRecord {
  stderr: boolean;
  at: string;
  data: Uint8Array;
}
export interface RaftEntry {
  type: number;
  term: number;
  index: number;
  data: Uint8Array;
}
export interface RaftConfState {
  voters: number[];
  learners: number[];
  votersOutgoing: number[];
  learnersNext: number[];
  autoLeave: boolean;
}
export interface RaftSnapshotMeta {
  index: number;
  term: number;
  confState?: RaftConfState | null | undefined;
  members: RaftMember[];
  nextRaftId: number;
}
export interface RaftMessage {
  type: number;
  to: number;
  from: number;
  term: number;
  logTerm: number;
  index: number;
  entries: RaftEntry[];
  commit: number;
  vote: number;
  snapshot?: RaftSnapshotMeta | null | undefined;
  reject: boolean;
  rejectHint: number;
  context: Uint8Array;
}
export interface RaftMember {
  raftId: number;
  nodeId: string;
  raftAddr: string;
  controlAddr: string;
}
export interface RaftBatch {
  messages: RaftMessage[];
  sender?: RaftMember | null | undefined;
}
export interface RaftSnapshotChunk {
  message?: RaftMessage | null | undefined;
  data: Uint8Array;
  offset: number;
  last: boolean;
}
export interface RaftSnapshotAck {
  nextOffset: number;
}
export interface RaftRefusal {
  code: string;
  message: string;
}
export interface RaftFrame {
  batch?: RaftBatch | null | undefined;
  chunk?: RaftSnapshotChunk | null | undefined;
  ack?: RaftSnapshotAck | null | undefined;
  refusal?: RaftRefusal | null | undefined;
}
export interface RaftJoinRequest {
  nodeId: string;
  raftAddr: string;
  controlAddr: string;
}
export interface RaftJoinReply {
  raftId: number;
  members: RaftMember[];
}
export interface RaftLeaveRequest {
  nodeId: string;
}
export interface RaftLeaveReply {

}
export interface RaftStandingRequest {

}
export interface RaftStandingReply {
  nodeId: string;
  term: number;
  leader: string;
  commitIndex: number;
  appliedIndex: number;
  snapshotIndex: number;
  diskBytes: number;
  fsync?: RaftLatency | null | undefined;
  tickLate?: RaftLatency | null | undefined;
  leaderlessSinceMs?: number | null | undefined;
  epoch: number;
  diskFull: boolean;
}
export interface RaftLatency {
  count: number;
  p50Ms: number;
  p99Ms: number;
}
export interface LogEntry {
  format: number;
  transactions: Transaction[];
  part?: TransactionPart | null | undefined;
}
export interface TransactionPart {
  proposer: number;
  serial: number;
  number: number;
  count: number;
  data: Uint8Array;
}
export interface Transaction {
  proposer: number;
  serial: number;
  atMs: number;
  expects: Expectation[];
  changes: Change[];
}
export interface Expectation {
  table: string;
  id: string;
  version: number;
}
export interface Change {
  putCluster?: Cluster | null | undefined;
  putNode?: Node | null | undefined;
  putService?: Service | null | undefined;
  putNetwork?: Network | null | undefined;
  createTask?: ChangeCreateTask | null | undefined;
  allocateTask?: ChangeAllocateTask | null | undefined;
  assignTask?: ChangeAssignTask | null | undefined;
  setDesired?: ChangeSetDesired | null | undefined;
  setTaskStatus?: ChangeSetTaskStatus | null | undefined;
  releaseTask?: ChangeReleaseTask | null | undefined;
  allocateService?: ChangeAllocateService | null | undefined;
  setUpdateStatus?: ChangeSetUpdateStatus | null | undefined;
  rollBackService?: ChangeRollBackService | null | undefined;
  allocateNetwork?: ChangeAllocateNetwork | null | undefined;
  allocateNode?: ChangeAllocateNode | null | undefined;
  setNodeStatus?: ChangeSetNodeStatus | null | undefined;
  setManagerStatus?: ChangeSetManagerStatus | null | undefined;
  setNodeRole?: ChangeSetNodeRole | null | undefined;
  delete?: ChangeDelete | null | undefined;
  setNodeSpec?: ChangeSetNodeSpec | null | undefined;
}
export interface ChangeCreateTask {
  serviceId: string;
  slot: number;
  nodeId?: string | null | undefined;
  desired: number;
  startAfterMs?: number | null | undefined;
  attempt?: number | null | undefined;
}
export interface ChangeAllocateTask {
  taskId: string;
  networks: NetworkAttachment[];
}
export interface ChangeAssignTask {
  taskId: string;
  nodeId: string;
}
export interface ChangeSetDesired {
  taskId: string;
  desired: number;
}
export interface ChangeSetTaskStatus {
  taskId: string;
  status?: TaskStatus | null | undefined;
}
export interface ChangeReleaseTask {
  taskId: string;
}
export interface ChangeAllocateService {
  serviceId: string;
  endpoint?: Endpoint | null | undefined;
}
export interface ChangeSetUpdateStatus {
  serviceId: string;
  update?: UpdateStatus | null | undefined;
}
export interface ChangeRollBackService {
  serviceId: string;
  update?: UpdateStatus | null | undefined;
}
export interface ChangeAllocateNetwork {
  networkId: string;
  vni?: number | null | undefined;
  ipam?: IpamConfigList | null | undefined;
}
export interface ChangeAllocateNode {
  nodeId: string;
  meshIndex: number;
}
export interface ChangeSetNodeStatus {
  nodeId: string;
  status?: NodeStatus | null | undefined;
  description?: NodeDescription | null | undefined;
}
export interface ChangeSetManagerStatus {
  nodeId: string;
  manager?: ManagerStatus | null | undefined;
}
export interface ChangeSetNodeRole {
  nodeId: string;
  role: string;
  certificateExpiresAtMs: number;
}
export interface ChangeDelete {
  table: string;
  id: string;
}
export interface ChangeSetNodeSpec {
  nodeId: string;
  spec?: NodeSpec | null | undefined;
}
export interface SnapshotRecord {
  header?: SnapshotRecordHeader | null | undefined;
  cluster?: Cluster | null | undefined;
  node?: Node | null | undefined;
  service?: Service | null | undefined;
  network?: Network | null | undefined;
  revision?: Revision | null | undefined;
  task?: Task | null | undefined;
  trailer?: SnapshotRecordTrailer | null | undefined;
  taskPage?: TaskPage | null | undefined;
  keptPart?: SnapshotRecordKeptPart | null | undefined;
}
export interface SnapshotRecordHeader {
  format: number;
  version: number;
}
export interface SnapshotRecordTrailer {
  rows: number;
}
export interface SnapshotRecordKeptPart {
  term: number;
  part?: TransactionPart | null | undefined;
}
export interface TaskPage {
  names: string[];
  words: string[];
  ids: Uint8Array;
  services: Uint8Array;
  nodes: Uint8Array;
  specVersions: Uint8Array;
  slots: Uint8Array;
  states: Uint8Array;
  desired: Uint8Array;
  bodyLengths: Uint8Array;
  bodies: Uint8Array;
}
export interface Messages {
  GetRootCaRequest: GetRootCaRequest;
  GetRootCaReply: GetRootCaReply;
  IssueCertificateRequest: IssueCertificateRequest;
  IssueCertificateReply: IssueCertificateReply;
  ResolveRequest: ResolveRequest;
  ResolveReply: ResolveReply;
  ResolveReplyPlatform: ResolveReplyPlatform;
  HaveRequest: HaveRequest;
  HaveReply: HaveReply;
  ReadRequest: ReadRequest;
  ReadChunk: ReadChunk;
  TurnRequest: TurnRequest;
  TurnReply: TurnReply;
  HttpCall: HttpCall;
  HttpReply: HttpReply;
  ReadIndexRequest: ReadIndexRequest;
  ReadIndexReply: ReadIndexReply;
  AgentMessage: AgentMessage;
  AgentMessageHello: AgentMessageHello;
  AgentMessageKnown: AgentMessageKnown;
  AgentMessageHeartbeat: AgentMessageHeartbeat;
  AgentMessageTaskReport: AgentMessageTaskReport;
  AgentMessageReports: AgentMessageReports;
  AgentMessageNetworkReady: AgentMessageNetworkReady;
  AgentMessageGoodbye: AgentMessageGoodbye;
  ManagerMessage: ManagerMessage;
  ManagerMessageWelcome: ManagerMessageWelcome;
  ManagerMessageReportsStored: ManagerMessageReportsStored;
  ManagerMessageClusterInfo: ManagerMessageClusterInfo;
  ManagerAddr: ManagerAddr;
  Assignments: Assignments;
  RevisionKey: RevisionKey;
  NodeSelf: NodeSelf;
  AssignedTask: AssignedTask;
  NetworkPeer: NetworkPeer;
  NetworkInfo: NetworkInfo;
  ServiceInfo: ServiceInfo;
  EndpointInfo: EndpointInfo;
  NodeReports: NodeReports;
  NodeReport: NodeReport;
  NodeReportsReply: NodeReportsReply;
  Stored: Stored;
  Cluster: Cluster;
  RootCa: RootCa;
  Node: Node;
  NodeDescription: NodeDescription;
  NodeDescriptionPlugin: NodeDescriptionPlugin;
  NodeDescriptionPluginList: NodeDescriptionPluginList;
  NodeStatus: NodeStatus;
  ManagerStatus: ManagerStatus;
  Service: Service;
  Endpoint: Endpoint;
  VirtualIp: VirtualIp;
  UpdateStatus: UpdateStatus;
  Revision: Revision;
  Task: Task;
  TaskStatus: TaskStatus;
  TaskStatusContainer: TaskStatusContainer;
  NetworkAttachment: NetworkAttachment;
  Network: Network;
  StringList: StringList;
  StringMap: StringMap;
  ServiceSpec: ServiceSpec;
  ServiceMode: ServiceMode;
  ServiceModeReplicated: ServiceModeReplicated;
  ServiceModeGlobal: ServiceModeGlobal;
  ServiceModeReplicatedJob: ServiceModeReplicatedJob;
  ServiceModeGlobalJob: ServiceModeGlobalJob;
  UpdateConfig: UpdateConfig;
  TaskSpec: TaskSpec;
  Driver: Driver;
  NetworkAttachmentConfigList: NetworkAttachmentConfigList;
  NetworkAttachmentConfig: NetworkAttachmentConfig;
  RestartPolicy: RestartPolicy;
  Placement: Placement;
  PlatformList: PlatformList;
  Platform: Platform;
  ResourceRequirements: ResourceRequirements;
  Resources: Resources;
  ResourceLimits: ResourceLimits;
  GenericResourceList: GenericResourceList;
  GenericResource: GenericResource;
  ContainerSpec: ContainerSpec;
  RegistryAuth: RegistryAuth;
  Privileges: Privileges;
  PrivilegesSeccomp: PrivilegesSeccomp;
  PrivilegesApparmor: PrivilegesApparmor;
  Healthcheck: Healthcheck;
  DnsConfig: DnsConfig;
  UlimitList: UlimitList;
  Ulimit: Ulimit;
  MountList: MountList;
  Mount: Mount;
  MountBind: MountBind;
  MountVolumeDriver: MountVolumeDriver;
  MountVolume: MountVolume;
  MountTmpfs: MountTmpfs;
  EndpointSpec: EndpointSpec;
  PortConfigList: PortConfigList;
  PortConfig: PortConfig;
  NodeSpec: NodeSpec;
  NetworkSpec: NetworkSpec;
  IpamOptions: IpamOptions;
  IpamConfigList: IpamConfigList;
  IpamConfig: IpamConfig;
  ClusterSpec: ClusterSpec;
  LogRequest: LogRequest;
  LogRecords: LogRecords;
  LogRecord: LogRecord;
  RaftEntry: RaftEntry;
  RaftConfState: RaftConfState;
  RaftSnapshotMeta: RaftSnapshotMeta;
  RaftMessage: RaftMessage;
  RaftMember: RaftMember;
  RaftBatch: RaftBatch;
  RaftSnapshotChunk: RaftSnapshotChunk;
  RaftSnapshotAck: RaftSnapshotAck;
  RaftRefusal: RaftRefusal;
  RaftFrame: RaftFrame;
  RaftJoinRequest: RaftJoinRequest;
  RaftJoinReply: RaftJoinReply;
  RaftLeaveRequest: RaftLeaveRequest;
  RaftLeaveReply: RaftLeaveReply;
  RaftStandingRequest: RaftStandingRequest;
  RaftStandingReply: RaftStandingReply;
  RaftLatency: RaftLatency;
  LogEntry: LogEntry;
  TransactionPart: TransactionPart;
  Transaction: Transaction;
  Expectation: Expectation;
  Change: Change;
  ChangeCreateTask: ChangeCreateTask;
  ChangeAllocateTask: ChangeAllocateTask;
  ChangeAssignTask: ChangeAssignTask;
  ChangeSetDesired: ChangeSetDesired;
  ChangeSetTaskStatus: ChangeSetTaskStatus;
  ChangeReleaseTask: ChangeReleaseTask;
  ChangeAllocateService: ChangeAllocateService;
  ChangeSetUpdateStatus: ChangeSetUpdateStatus;
  ChangeRollBackService: ChangeRollBackService;
  ChangeAllocateNetwork: ChangeAllocateNetwork;
  ChangeAllocateNode: ChangeAllocateNode;
  ChangeSetNodeStatus: ChangeSetNodeStatus;
  ChangeSetManagerStatus: ChangeSetManagerStatus;
  ChangeSetNodeRole: ChangeSetNodeRole;
  ChangeDelete: ChangeDelete;
  ChangeSetNodeSpec: ChangeSetNodeSpec;
  SnapshotRecord: SnapshotRecord;
  SnapshotRecordHeader: SnapshotRecordHeader;
  SnapshotRecordTrailer: SnapshotRecordTrailer;
  SnapshotRecordKeptPart: SnapshotRecordKeptPart;
  TaskPage: TaskPage;
}
export interface Services {
  Ca: {
    GetRootCa: { request: GetRootCaRequest; response: GetRootCaReply; requestStream: false; responseStream: false };
    IssueCertificate: { request: IssueCertificateRequest; response: IssueCertificateReply; requestStream: false; responseStream: false };
  };
  Content: {
    Resolve: { request: ResolveRequest; response: ResolveReply; requestStream: false; responseStream: false };
    Have: { request: HaveRequest; response: HaveReply; requestStream: false; responseStream: false };
    Read: { request: ReadRequest; response: ReadChunk; requestStream: false; responseStream: true };
    Turn: { request: TurnRequest; response: TurnReply; requestStream: false; responseStream: false };
  };
  Control: {
    Call: { request: HttpCall; response: HttpReply; requestStream: false; responseStream: false };
    ReadIndex: { request: ReadIndexRequest; response: ReadIndexReply; requestStream: false; responseStream: false };
  };
  Dispatcher: {
    Session: { request: AgentMessage; response: ManagerMessage; requestStream: true; responseStream: true };
  };
  LeaderReports: {
    Report: { request: NodeReports; response: NodeReportsReply; requestStream: false; responseStream: false };
  };
  NodeLogs: {
    Read: { request: LogRequest; response: LogRecords; requestStream: false; responseStream: true };
  };
  Membership: {
    Join: { request: RaftJoinRequest; response: RaftJoinReply; requestStream: false; responseStream: false };
    Leave: { request: RaftLeaveRequest; response: RaftLeaveReply; requestStream: false; responseStream: false };
  };
  RaftReport: {
    Standing: { request: RaftStandingRequest; response: RaftStandingReply; requestStream: false; responseStream: false };
  };
}
export const descriptor: object = {"nested":{"shoal":{"nested":{"v1":{"nested":{"Ca":{"methods":{"GetRootCa":{"requestType":"GetRootCaRequest","responseType":"GetRootCaReply"},"IssueCertificate":{"requestType":"IssueCertificateRequest","responseType":"IssueCertificateReply"}}},"GetRootCaRequest":{"fields":{}},"GetRootCaReply":{"fields":{"certificate":{"type":"string","id":1}}},"IssueCertificateRequest":{"fields":{"csr":{"type":"string","id":1},"token":{"type":"string","id":2},"availability":{"type":"string","id":3},"forNode":{"type":"string","id":4,"protoName":"for_node"}}},"IssueCertificateReply":{"fields":{"certificate":{"type":"string","id":1},"rootCertificates":{"type":"string","id":2,"protoName":"root_certificates"},"nodeId":{"type":"string","id":3,"protoName":"node_id"},"role":{"type":"string","id":4}}},"Content":{"methods":{"Resolve":{"requestType":"ResolveRequest","responseType":"ResolveReply"},"Have":{"requestType":"HaveRequest","responseType":"HaveReply"},"Read":{"requestType":"ReadRequest","responseType":"ReadChunk","responseStream":true},"Turn":{"requestType":"TurnRequest","responseType":"TurnReply"}}},"ResolveRequest":{"fields":{"reference":{"type":"string","id":1}}},"ResolveReply":{"fields":{"found":{"type":"bool","id":1},"digest":{"type":"string","id":2},"mediaType":{"type":"string","id":3,"protoName":"media_type"},"size":{"type":"uint64","id":4},"platforms":{"rule":"repeated","type":"Platform","id":5},"mayHaveMoved":{"type":"bool","id":6,"protoName":"may_have_moved"}},"nested":{"Platform":{"fields":{"architecture":{"type":"string","id":1},"os":{"type":"string","id":2},"variant":{"type":"string","id":3}}}}},"HaveRequest":{"fields":{"digests":{"rule":"repeated","type":"string","id":1}}},"HaveReply":{"fields":{"digests":{"rule":"repeated","type":"string","id":1},"readsInProgress":{"type":"uint32","id":2,"protoName":"reads_in_progress"}}},"ReadRequest":{"fields":{"digest":{"type":"string","id":1},"offset":{"type":"uint64","id":2},"length":{"type":"uint64","id":3}}},"ReadChunk":{"fields":{"data":{"type":"bytes","id":1}}},"TurnRequest":{"fields":{"digest":{"type":"string","id":1},"failed":{"type":"bool","id":2}}},"TurnReply":{"fields":{"granted":{"type":"bool","id":1},"fetching":{"rule":"repeated","type":"string","id":2}}},"Control":{"methods":{"Call":{"requestType":"HttpCall","responseType":"HttpReply"},"ReadIndex":{"requestType":"ReadIndexRequest","responseType":"ReadIndexReply"}}},"HttpCall":{"fields":{"method":{"type":"string","id":1},"target":{"type":"string","id":2},"headers":{"keyType":"string","type":"string","id":3},"body":{"type":"bytes","id":4}}},"HttpReply":{"fields":{"status":{"type":"uint32","id":1},"headers":{"keyType":"string","type":"string","id":2},"body":{"type":"bytes","id":3}}},"ReadIndexRequest":{"fields":{}},"ReadIndexReply":{"fields":{"index":{"type":"uint64","id":1}}},"Dispatcher":{"methods":{"Session":{"requestType":"AgentMessage","requestStream":true,"responseType":"ManagerMessage","responseStream":true}}},"AgentMessage":{"oneofs":{"kind":{"oneof":["hello","heartbeat","reports","networkReady","goodbye"]}},"fields":{"hello":{"type":"Hello","id":1},"heartbeat":{"type":"Heartbeat","id":2},"reports":{"type":"Reports","id":3},"networkReady":{"type":"NetworkReady","id":4,"protoName":"network_ready"},"goodbye":{"type":"Goodbye","id":5}},"nested":{"Hello":{"fields":{"description":{"type":"NodeDescription","id":1},"known":{"type":"Known","id":2}}},"Known":{"fields":{"epoch":{"type":"uint32","id":1},"version":{"type":"uint64","id":2},"networks":{"rule":"repeated","type":"string","id":3},"revisions":{"rule":"repeated","type":"RevisionKey","id":4}}},"Heartbeat":{"fields":{}},"TaskReport":{"fields":{"taskId":{"type":"string","id":1,"protoName":"task_id"},"status":{"type":"TaskStatus","id":2}}},"Reports":{"fields":{"serial":{"type":"uint64","id":1},"reports":{"rule":"repeated","type":"TaskReport","id":2}}},"NetworkReady":{"fields":{"version":{"type":"uint64","id":1}}},"Goodbye":{"fields":{"reason":{"type":"string","id":1}}}}},"ManagerMessage":{"oneofs":{"kind":{"oneof":["welcome","assignments","reportsStored","cluster"]}},"fields":{"welcome":{"type":"Welcome","id":1},"assignments":{"type":"Assignments","id":2},"reportsStored":{"type":"ReportsStored","id":3,"protoName":"reports_stored"},"cluster":{"type":"ClusterInfo","id":4},"more":{"type":"bool","id":5}},"nested":{"Welcome":{"fields":{"sessionId":{"type":"string","id":1,"protoName":"session_id"},"heartbeatPeriodMs":{"type":"uint32","id":2,"protoName":"heartbeat_period_ms"},"epoch":{"type":"uint32","id":3}}},"ReportsStored":{"fields":{"serial":{"type":"uint64","id":1}}},"ClusterInfo":{"fields":{"managers":{"rule":"repeated","type":"ManagerAddr","id":1},"role":{"type":"string","id":2},"rootCertificates":{"type":"string","id":3,"protoName":"root_certificates"}}}}},"ManagerAddr":{"fields":{"nodeId":{"type":"string","id":1,"protoName":"node_id"},"addr":{"type":"string","id":2}}},"Assignments":{"fields":{"complete":{"type":"bool","id":1},"appliesTo":{"type":"uint64","id":2,"protoName":"applies_to"},"version":{"type":"uint64","id":3},"self":{"type":"NodeSelf","id":4},"putTasks":{"rule":"repeated","type":"AssignedTask","id":5,"protoName":"put_tasks"},"removeTasks":{"rule":"repeated","type":"string","id":6,"protoName":"remove_tasks"},"putRevisions":{"rule":"repeated","type":"Revision","id":7,"protoName":"put_revisions"},"removeRevisions":{"rule":"repeated","type":"RevisionKey","id":8,"protoName":"remove_revisions"},"putPeers":{"rule":"repeated","type":"NetworkPeer","id":9,"protoName":"put_peers"},"removePeers":{"rule":"repeated","type":"string","id":10,"protoName":"remove_peers"},"putNetworks":{"rule":"repeated","type":"NetworkInfo","id":11,"protoName":"put_networks"},"removeNetworks":{"rule":"repeated","type":"string","id":12,"protoName":"remove_networks"},"putServices":{"rule":"repeated","type":"ServiceInfo","id":13,"protoName":"put_services"},"removeServices":{"rule":"repeated","type":"string","id":14,"protoName":"remove_services"},"putEndpoints":{"rule":"repeated","type":"EndpointInfo","id":15,"protoName":"put_endpoints"},"removeEndpoints":{"rule":"repeated","type":"string","id":16,"protoName":"remove_endpoints"}}},"RevisionKey":{"fields":{"serviceId":{"type":"string","id":1,"protoName":"service_id"},"specVersion":{"type":"uint64","id":2,"protoName":"spec_version"}}},"NodeSelf":{"fields":{"nodeId":{"type":"string","id":1,"protoName":"node_id"},"meshPool":{"type":"string","id":2,"protoName":"mesh_pool"},"meshIndex":{"type":"uint32","id":3,"protoName":"mesh_index"},"dataPathPort":{"type":"uint32","id":4,"protoName":"data_path_port"},"labels":{"type":"StringMap","id":5}}},"AssignedTask":{"oneofs":{"_leavingVersion":{"oneof":["leavingVersion"]}},"fields":{"id":{"type":"string","id":1},"serviceId":{"type":"string","id":2,"protoName":"service_id"},"specVersion":{"type":"uint64","id":3,"protoName":"spec_version"},"slot":{"type":"uint64","id":4},"desired":{"type":"uint32","id":5},"state":{"type":"uint32","id":6},"networks":{"rule":"repeated","type":"NetworkAttachment","id":7},"released":{"type":"bool","id":8},"leavingVersion":{"type":"uint64","id":9,"protoName":"leaving_version","options":{"proto3_optional":true}}}},"NetworkPeer":{"fields":{"nodeId":{"type":"string","id":1,"protoName":"node_id"},"meshIndex":{"type":"uint32","id":2,"protoName":"mesh_index"},"dataPathAddr":{"type":"string","id":3,"protoName":"data_path_addr"},"addresses":{"rule":"repeated","type":"string","id":4},"peerAddr":{"type":"string","id":5,"protoName":"peer_addr"},"up":{"type":"bool","id":6}}},"NetworkInfo":{"fields":{"id":{"type":"string","id":1},"name":{"type":"string","id":2},"driver":{"type":"string","id":3},"vni":{"type":"uint32","id":4},"subnet":{"type":"string","id":5},"gateway":{"type":"string","id":6},"internal":{"type":"bool","id":7},"attachable":{"type":"bool","id":8},"options":{"type":"StringMap","id":9},"labels":{"type":"StringMap","id":10}}},"ServiceInfo":{"fields":{"id":{"type":"string","id":1},"name":{"type":"string","id":2},"endpoint":{"type":"Endpoint","id":3}}},"EndpointInfo":{"oneofs":{"_meshAddr":{"oneof":["meshAddr"]}},"fields":{"taskId":{"type":"string","id":1,"protoName":"task_id"},"serviceId":{"type":"string","id":2,"protoName":"service_id"},"nodeId":{"type":"string","id":3,"protoName":"node_id"},"active":{"type":"bool","id":4},"networks":{"rule":"repeated","type":"NetworkAttachment","id":5},"meshAddr":{"type":"string","id":6,"protoName":"mesh_addr","options":{"proto3_optional":true}},"names":{"rule":"repeated","type":"string","id":7}}},"LeaderReports":{"methods":{"Report":{"requestType":"NodeReports","responseType":"NodeReportsReply"}}},"NodeReports":{"fields":{"managerId":{"type":"string","id":1,"protoName":"manager_id"},"nodes":{"rule":"repeated","type":"NodeReport","id":2},"settledVersion":{"type":"uint64","id":3,"protoName":"settled_version"}}},"NodeReport":{"oneofs":{"_gone":{"oneof":["gone"]},"_networkReadyVersion":{"oneof":["networkReadyVersion"]}},"fields":{"nodeId":{"type":"string","id":1,"protoName":"node_id"},"alive":{"type":"bool","id":2},"gone":{"type":"string","id":3,"options":{"proto3_optional":true}},"description":{"type":"NodeDescription","id":4},"addr":{"type":"string","id":5},"networkReadyVersion":{"type":"uint64","id":6,"protoName":"network_ready_version","options":{"proto3_optional":true}},"reports":{"rule":"repeated","type":"AgentMessage.TaskReport","id":7},"silentMs":{"type":"uint32","id":8,"protoName":"silent_ms"}}},"NodeReportsReply":{"fields":{"version":{"type":"uint64","id":1},"resend":{"type":"bool","id":2}}},"Stored":{"fields":{"version":{"type":"uint64","id":1},"createdAtMs":{"type":"uint64","id":2,"protoName":"created_at_ms"},"updatedAtMs":{"type":"uint64","id":3,"protoName":"updated_at_ms"}}},"Cluster":{"oneofs":{"_unlockKey":{"oneof":["unlockKey"]}},"fields":{"stored":{"type":"Stored","id":1},"id":{"type":"string","id":2},"spec":{"type":"ClusterSpec","id":3},"rootCa":{"type":"RootCa","id":4,"protoName":"root_ca"},"workerJoinSecret":{"type":"string","id":5,"protoName":"worker_join_secret"},"managerJoinSecret":{"type":"string","id":6,"protoName":"manager_join_secret"},"addressPools":{"rule":"repeated","type":"string","id":7,"protoName":"address_pools"},"subnetBits":{"type":"uint32","id":8,"protoName":"subnet_bits"},"meshPool":{"type":"string","id":9,"protoName":"mesh_pool"},"dataPathPort":{"type":"uint32","id":10,"protoName":"data_path_port"},"epoch":{"type":"uint32","id":11},"unlockKey":{"type":"string","id":16,"protoName":"unlock_key","options":{"proto3_optional":true}}}},"RootCa":{"oneofs":{"_key":{"oneof":["key"]}},"fields":{"certificate":{"type":"string","id":1},"key":{"type":"string","id":2,"options":{"proto3_optional":true}},"digest":{"type":"string","id":3}}},"Node":{"oneofs":{"_meshIndex":{"oneof":["meshIndex"]},"_certificateExpiresAtMs":{"oneof":["certificateExpiresAtMs"]},"_specVersion":{"oneof":["specVersion"]}},"fields":{"stored":{"type":"Stored","id":1},"id":{"type":"string","id":2},"spec":{"type":"NodeSpec","id":3},"role":{"type":"string","id":4},"description":{"type":"NodeDescription","id":5},"status":{"type":"NodeStatus","id":6},"manager":{"type":"ManagerStatus","id":7},"meshIndex":{"type":"uint32","id":8,"protoName":"mesh_index","options":{"proto3_optional":true}},"certificateExpiresAtMs":{"type":"uint64","id":9,"protoName":"certificate_expires_at_ms","options":{"proto3_optional":true}},"specVersion":{"type":"uint64","id":10,"protoName":"spec_version","options":{"proto3_optional":true}}}},"NodeDescription":{"fields":{"hostname":{"type":"string","id":1},"architecture":{"type":"string","id":2},"os":{"type":"string","id":3},"nanoCpus":{"type":"int64","id":4,"protoName":"nano_cpus"},"memoryBytes":{"type":"int64","id":5,"protoName":"memory_bytes"},"generic":{"type":"GenericResourceList","id":6},"engineVersion":{"type":"string","id":7,"protoName":"engine_version"},"engineLabels":{"type":"StringMap","id":8,"protoName":"engine_labels"},"plugins":{"type":"PluginList","id":9},"peerAddr":{"type":"string","id":10,"protoName":"peer_addr"},"dataPathAddr":{"type":"string","id":11,"protoName":"data_path_addr"},"addresses":{"type":"StringList","id":12}},"nested":{"Plugin":{"fields":{"type":{"type":"string","id":1},"name":{"type":"string","id":2}}},"PluginList":{"fields":{"items":{"rule":"repeated","type":"Plugin","id":1}}}}},"NodeStatus":{"oneofs":{"_message":{"oneof":["message"]},"_addr":{"oneof":["addr"]},"_sinceMs":{"oneof":["sinceMs"]}},"fields":{"state":{"type":"string","id":1},"message":{"type":"string","id":2,"options":{"proto3_optional":true}},"addr":{"type":"string","id":3,"options":{"proto3_optional":true}},"sinceMs":{"type":"uint64","id":4,"protoName":"since_ms","options":{"proto3_optional":true}}}},"ManagerStatus":{"oneofs":{"_leader":{"oneof":["leader"]}},"fields":{"raftId":{"type":"uint64","id":1,"protoName":"raft_id"},"addr":{"type":"string","id":2},"raftAddr":{"type":"string","id":3,"protoName":"raft_addr"},"leader":{"type":"bool","id":4,"options":{"proto3_optional":true}},"reachability":{"type":"string","id":5}}},"Service":{"oneofs":{"_previousSpecVersion":{"oneof":["previousSpecVersion"]},"_pendingDelete":{"oneof":["pendingDelete"]}},"fields":{"stored":{"type":"Stored","id":1},"id":{"type":"string","id":2},"spec":{"type":"ServiceSpec","id":3},"specVersion":{"type":"uint64","id":4,"protoName":"spec_version"},"previousSpec":{"type":"ServiceSpec","id":5,"protoName":"previous_spec"},"previousSpecVersion":{"type":"uint64","id":6,"protoName":"previous_spec_version","options":{"proto3_optional":true}},"endpoint":{"type":"Endpoint","id":7},"update":{"type":"UpdateStatus","id":8},"tasksMade":{"type":"uint64","id":9,"protoName":"tasks_made"},"pendingDelete":{"type":"bool","id":10,"protoName":"pending_delete","options":{"proto3_optional":true}}}},"Endpoint":{"fields":{"mode":{"type":"string","id":1},"ports":{"rule":"repeated","type":"PortConfig","id":2},"vips":{"rule":"repeated","type":"VirtualIp","id":3}}},"VirtualIp":{"fields":{"networkId":{"type":"string","id":1,"protoName":"network_id"},"addr":{"type":"string","id":2}}},"UpdateStatus":{"oneofs":{"_completedAtMs":{"oneof":["completedAtMs"]}},"fields":{"state":{"type":"string","id":1},"startedAtMs":{"type":"uint64","id":2,"protoName":"started_at_ms"},"completedAtMs":{"type":"uint64","id":3,"protoName":"completed_at_ms","options":{"proto3_optional":true}},"message":{"type":"string","id":4},"targetVersion":{"type":"uint64","id":5,"protoName":"target_version"}}},"Revision":{"fields":{"stored":{"type":"Stored","id":1},"serviceId":{"type":"string","id":2,"protoName":"service_id"},"specVersion":{"type":"uint64","id":3,"protoName":"spec_version"},"task":{"type":"TaskSpec","id":4},"serviceName":{"type":"string","id":5,"protoName":"service_name"},"serviceLabels":{"type":"StringMap","id":6,"protoName":"service_labels"},"ports":{"type":"PortConfigList","id":7}}},"Task":{"oneofs":{"_nodeId":{"oneof":["nodeId"]},"_startAfterMs":{"oneof":["startAfterMs"]},"_leavingVersion":{"oneof":["leavingVersion"]},"_released":{"oneof":["released"]},"_attempt":{"oneof":["attempt"]}},"fields":{"stored":{"type":"Stored","id":1},"id":{"type":"string","id":2},"serviceId":{"type":"string","id":3,"protoName":"service_id"},"specVersion":{"type":"uint64","id":4,"protoName":"spec_version"},"slot":{"type":"uint64","id":5},"nodeId":{"type":"string","id":6,"protoName":"node_id","options":{"proto3_optional":true}},"desired":{"type":"uint32","id":7},"status":{"type":"TaskStatus","id":8},"networks":{"rule":"repeated","type":"NetworkAttachment","id":9},"startAfterMs":{"type":"uint64","id":10,"protoName":"start_after_ms","options":{"proto3_optional":true}},"leavingVersion":{"type":"uint64","id":11,"protoName":"leaving_version","options":{"proto3_optional":true}},"released":{"type":"bool","id":12,"options":{"proto3_optional":true}},"attempt":{"type":"uint32","id":13,"options":{"proto3_optional":true}}}},"TaskStatus":{"oneofs":{"_error":{"oneof":["error"]},"_meshAddr":{"oneof":["meshAddr"]},"_startedAtMs":{"oneof":["startedAtMs"]}},"fields":{"state":{"type":"uint32","id":1},"atMs":{"type":"uint64","id":2,"protoName":"at_ms"},"message":{"type":"string","id":3},"error":{"type":"string","id":4,"options":{"proto3_optional":true}},"container":{"type":"Container","id":5},"meshAddr":{"type":"string","id":6,"protoName":"mesh_addr","options":{"proto3_optional":true}},"ports":{"type":"PortConfigList","id":7},"startedAtMs":{"type":"uint64","id":8,"protoName":"started_at_ms","options":{"proto3_optional":true}}},"nested":{"Container":{"oneofs":{"_pid":{"oneof":["pid"]},"_exitCode":{"oneof":["exitCode"]}},"fields":{"id":{"type":"string","id":1},"pid":{"type":"uint32","id":2,"options":{"proto3_optional":true}},"exitCode":{"type":"int32","id":3,"protoName":"exit_code","options":{"proto3_optional":true}}}}}},"NetworkAttachment":{"fields":{"networkId":{"type":"string","id":1,"protoName":"network_id"},"addresses":{"rule":"repeated","type":"string","id":2},"aliases":{"type":"StringList","id":3}}},"Network":{"oneofs":{"_vni":{"oneof":["vni"]},"_pendingDelete":{"oneof":["pendingDelete"]}},"fields":{"stored":{"type":"Stored","id":1},"id":{"type":"string","id":2},"spec":{"type":"NetworkSpec","id":3},"vni":{"type":"uint32","id":4,"options":{"proto3_optional":true}},"ipam":{"type":"IpamConfigList","id":5},"pendingDelete":{"type":"bool","id":6,"protoName":"pending_delete","options":{"proto3_optional":true}}}},"StringList":{"fields":{"items":{"rule":"repeated","type":"string","id":1}}},"StringMap":{"fields":{"entries":{"keyType":"string","type":"string","id":1}}},"ServiceSpec":{"fields":{"name":{"type":"string","id":1},"labels":{"type":"StringMap","id":2},"task":{"type":"TaskSpec","id":3},"mode":{"type":"ServiceMode","id":4},"update":{"type":"UpdateConfig","id":5},"rollback":{"type":"UpdateConfig","id":6},"endpoint":{"type":"EndpointSpec","id":7}}},"ServiceMode":{"oneofs":{"kind":{"oneof":["replicated","global","replicatedJob","globalJob"]}},"fields":{"replicated":{"type":"Replicated","id":1},"global":{"type":"Global","id":2},"replicatedJob":{"type":"ReplicatedJob","id":3,"protoName":"replicated_job"},"globalJob":{"type":"GlobalJob","id":4,"protoName":"global_job"}},"nested":{"Replicated":{"fields":{"replicas":{"type":"uint64","id":1}}},"Global":{"fields":{}},"ReplicatedJob":{"fields":{"maxConcurrent":{"type":"uint64","id":1,"protoName":"max_concurrent"},"totalCompletions":{"type":"uint64","id":2,"protoName":"total_completions"}}},"GlobalJob":{"fields":{}}}},"UpdateConfig":{"oneofs":{"_parallelism":{"oneof":["parallelism"]},"_delayNs":{"oneof":["delayNs"]},"_failureAction":{"oneof":["failureAction"]},"_monitorNs":{"oneof":["monitorNs"]},"_maxFailureRatio":{"oneof":["maxFailureRatio"]},"_order":{"oneof":["order"]}},"fields":{"parallelism":{"type":"uint64","id":1,"options":{"proto3_optional":true}},"delayNs":{"type":"int64","id":2,"protoName":"delay_ns","options":{"proto3_optional":true}},"failureAction":{"type":"string","id":3,"protoName":"failure_action","options":{"proto3_optional":true}},"monitorNs":{"type":"int64","id":4,"protoName":"monitor_ns","options":{"proto3_optional":true}},"maxFailureRatio":{"type":"double","id":5,"protoName":"max_failure_ratio","options":{"proto3_optional":true}},"order":{"type":"string","id":6,"options":{"proto3_optional":true}}}},"TaskSpec":{"oneofs":{"_forceUpdate":{"oneof":["forceUpdate"]},"_runtime":{"oneof":["runtime"]}},"fields":{"container":{"type":"ContainerSpec","id":1},"resources":{"type":"ResourceRequirements","id":2},"restart":{"type":"RestartPolicy","id":3},"placement":{"type":"Placement","id":4},"networks":{"type":"NetworkAttachmentConfigList","id":5},"logDriver":{"type":"Driver","id":6,"protoName":"log_driver"},"forceUpdate":{"type":"uint64","id":7,"protoName":"force_update","options":{"proto3_optional":true}},"runtime":{"type":"string","id":8,"options":{"proto3_optional":true}}}},"Driver":{"fields":{"name":{"type":"string","id":1},"options":{"type":"StringMap","id":2}}},"NetworkAttachmentConfigList":{"fields":{"items":{"rule":"repeated","type":"NetworkAttachmentConfig","id":1}}},"NetworkAttachmentConfig":{"fields":{"target":{"type":"string","id":1},"aliases":{"type":"StringList","id":2},"driverOpts":{"type":"StringMap","id":3,"protoName":"driver_opts"}}},"RestartPolicy":{"oneofs":{"_condition":{"oneof":["condition"]},"_delayNs":{"oneof":["delayNs"]},"_maxAttempts":{"oneof":["maxAttempts"]},"_windowNs":{"oneof":["windowNs"]}},"fields":{"condition":{"type":"string","id":1,"options":{"proto3_optional":true}},"delayNs":{"type":"int64","id":2,"protoName":"delay_ns","options":{"proto3_optional":true}},"maxAttempts":{"type":"uint64","id":3,"protoName":"max_attempts","options":{"proto3_optional":true}},"windowNs":{"type":"int64","id":4,"protoName":"window_ns","options":{"proto3_optional":true}}}},"Placement":{"oneofs":{"_maxReplicas":{"oneof":["maxReplicas"]}},"fields":{"constraints":{"type":"StringList","id":1},"preferences":{"type":"StringList","id":2},"maxReplicas":{"type":"uint64","id":3,"protoName":"max_replicas","options":{"proto3_optional":true}},"platforms":{"type":"PlatformList","id":4}}},"PlatformList":{"fields":{"items":{"rule":"repeated","type":"Platform","id":1}}},"Platform":{"oneofs":{"_architecture":{"oneof":["architecture"]},"_os":{"oneof":["os"]}},"fields":{"architecture":{"type":"string","id":1,"options":{"proto3_optional":true}},"os":{"type":"string","id":2,"options":{"proto3_optional":true}}}},"ResourceRequirements":{"fields":{"limits":{"type":"ResourceLimits","id":1},"reservations":{"type":"Resources","id":2}}},"Resources":{"oneofs":{"_nanoCpus":{"oneof":["nanoCpus"]},"_memoryBytes":{"oneof":["memoryBytes"]}},"fields":{"nanoCpus":{"type":"int64","id":1,"protoName":"nano_cpus","options":{"proto3_optional":true}},"memoryBytes":{"type":"int64","id":2,"protoName":"memory_bytes","options":{"proto3_optional":true}},"generic":{"type":"GenericResourceList","id":3}}},"ResourceLimits":{"oneofs":{"_nanoCpus":{"oneof":["nanoCpus"]},"_memoryBytes":{"oneof":["memoryBytes"]},"_pids":{"oneof":["pids"]}},"fields":{"nanoCpus":{"type":"int64","id":1,"protoName":"nano_cpus","options":{"proto3_optional":true}},"memoryBytes":{"type":"int64","id":2,"protoName":"memory_bytes","options":{"proto3_optional":true}},"pids":{"type":"int64","id":3,"options":{"proto3_optional":true}}}},"GenericResourceList":{"fields":{"items":{"rule":"repeated","type":"GenericResource","id":1}}},"GenericResource":{"oneofs":{"value":{"oneof":["named","count"]}},"fields":{"kind":{"type":"string","id":1},"named":{"type":"string","id":2},"count":{"type":"int64","id":3}}},"ContainerSpec":{"oneofs":{"_hostname":{"oneof":["hostname"]},"_dir":{"oneof":["dir"]},"_user":{"oneof":["user"]},"_init":{"oneof":["init"]},"_stopSignal":{"oneof":["stopSignal"]},"_tty":{"oneof":["tty"]},"_openStdin":{"oneof":["openStdin"]},"_readOnly":{"oneof":["readOnly"]},"_stopGracePeriodNs":{"oneof":["stopGracePeriodNs"]},"_isolation":{"oneof":["isolation"]},"_oomScoreAdj":{"oneof":["oomScoreAdj"]}},"fields":{"image":{"type":"string","id":1},"labels":{"type":"StringMap","id":2},"command":{"type":"StringList","id":3},"args":{"type":"StringList","id":4},"hostname":{"type":"string","id":5,"options":{"proto3_optional":true}},"env":{"type":"StringList","id":6},"dir":{"type":"string","id":7,"options":{"proto3_optional":true}},"user":{"type":"string","id":8,"options":{"proto3_optional":true}},"groups":{"type":"StringList","id":9},"privileges":{"type":"Privileges","id":10},"init":{"type":"bool","id":11,"options":{"proto3_optional":true}},"stopSignal":{"type":"string","id":12,"protoName":"stop_signal","options":{"proto3_optional":true}},"tty":{"type":"bool","id":13,"options":{"proto3_optional":true}},"openStdin":{"type":"bool","id":14,"protoName":"open_stdin","options":{"proto3_optional":true}},"readOnly":{"type":"bool","id":15,"protoName":"read_only","options":{"proto3_optional":true}},"mounts":{"type":"MountList","id":16},"stopGracePeriodNs":{"type":"int64","id":17,"protoName":"stop_grace_period_ns","options":{"proto3_optional":true}},"healthcheck":{"type":"Healthcheck","id":18},"hosts":{"type":"StringList","id":19},"dns":{"type":"DnsConfig","id":20},"isolation":{"type":"string","id":21,"options":{"proto3_optional":true}},"sysctls":{"type":"StringMap","id":22},"capabilityAdd":{"type":"StringList","id":23,"protoName":"capability_add"},"capabilityDrop":{"type":"StringList","id":24,"protoName":"capability_drop"},"ulimits":{"type":"UlimitList","id":25},"oomScoreAdj":{"type":"int64","id":26,"protoName":"oom_score_adj","options":{"proto3_optional":true}},"registryAuth":{"type":"RegistryAuth","id":27,"protoName":"registry_auth"}}},"RegistryAuth":{"oneofs":{"_username":{"oneof":["username"]},"_password":{"oneof":["password"]},"_identitytoken":{"oneof":["identitytoken"]},"_registrytoken":{"oneof":["registrytoken"]},"_serveraddress":{"oneof":["serveraddress"]}},"fields":{"username":{"type":"string","id":1,"options":{"proto3_optional":true}},"password":{"type":"string","id":2,"options":{"proto3_optional":true}},"identitytoken":{"type":"string","id":3,"options":{"proto3_optional":true}},"registrytoken":{"type":"string","id":4,"options":{"proto3_optional":true}},"serveraddress":{"type":"string","id":5,"options":{"proto3_optional":true}}}},"Privileges":{"oneofs":{"_noNewPrivileges":{"oneof":["noNewPrivileges"]}},"fields":{"noNewPrivileges":{"type":"bool","id":1,"protoName":"no_new_privileges","options":{"proto3_optional":true}},"seccomp":{"type":"Seccomp","id":2},"apparmor":{"type":"Apparmor","id":3}},"nested":{"Seccomp":{"oneofs":{"_profile":{"oneof":["profile"]}},"fields":{"mode":{"type":"string","id":1},"profile":{"type":"string","id":2,"options":{"proto3_optional":true}}}},"Apparmor":{"fields":{"mode":{"type":"string","id":1}}}}},"Healthcheck":{"oneofs":{"_intervalNs":{"oneof":["intervalNs"]},"_timeoutNs":{"oneof":["timeoutNs"]},"_startPeriodNs":{"oneof":["startPeriodNs"]},"_startIntervalNs":{"oneof":["startIntervalNs"]},"_retries":{"oneof":["retries"]}},"fields":{"test":{"type":"StringList","id":1},"intervalNs":{"type":"int64","id":2,"protoName":"interval_ns","options":{"proto3_optional":true}},"timeoutNs":{"type":"int64","id":3,"protoName":"timeout_ns","options":{"proto3_optional":true}},"startPeriodNs":{"type":"int64","id":4,"protoName":"start_period_ns","options":{"proto3_optional":true}},"startIntervalNs":{"type":"int64","id":5,"protoName":"start_interval_ns","options":{"proto3_optional":true}},"retries":{"type":"uint64","id":6,"options":{"proto3_optional":true}}}},"DnsConfig":{"fields":{"nameservers":{"type":"StringList","id":1},"search":{"type":"StringList","id":2},"options":{"type":"StringList","id":3}}},"UlimitList":{"fields":{"items":{"rule":"repeated","type":"Ulimit","id":1}}},"Ulimit":{"fields":{"name":{"type":"string","id":1},"hard":{"type":"int64","id":2},"soft":{"type":"int64","id":3}}},"MountList":{"fields":{"items":{"rule":"repeated","type":"Mount","id":1}}},"Mount":{"oneofs":{"_source":{"oneof":["source"]},"_readOnly":{"oneof":["readOnly"]},"_consistency":{"oneof":["consistency"]}},"fields":{"type":{"type":"string","id":1},"source":{"type":"string","id":2,"options":{"proto3_optional":true}},"target":{"type":"string","id":3},"readOnly":{"type":"bool","id":4,"protoName":"read_only","options":{"proto3_optional":true}},"consistency":{"type":"string","id":5,"options":{"proto3_optional":true}},"bind":{"type":"Bind","id":6},"volume":{"type":"Volume","id":7},"tmpfs":{"type":"Tmpfs","id":8}},"nested":{"Bind":{"oneofs":{"_propagation":{"oneof":["propagation"]},"_nonRecursive":{"oneof":["nonRecursive"]},"_createMountpoint":{"oneof":["createMountpoint"]}},"fields":{"propagation":{"type":"string","id":1,"options":{"proto3_optional":true}},"nonRecursive":{"type":"bool","id":2,"protoName":"non_recursive","options":{"proto3_optional":true}},"createMountpoint":{"type":"bool","id":3,"protoName":"create_mountpoint","options":{"proto3_optional":true}}}},"VolumeDriver":{"oneofs":{"_name":{"oneof":["name"]}},"fields":{"name":{"type":"string","id":1,"options":{"proto3_optional":true}},"options":{"type":"StringMap","id":2}}},"Volume":{"oneofs":{"_noCopy":{"oneof":["noCopy"]},"_subpath":{"oneof":["subpath"]}},"fields":{"noCopy":{"type":"bool","id":1,"protoName":"no_copy","options":{"proto3_optional":true}},"labels":{"type":"StringMap","id":2},"subpath":{"type":"string","id":3,"options":{"proto3_optional":true}},"driver":{"type":"VolumeDriver","id":4}}},"Tmpfs":{"oneofs":{"_sizeBytes":{"oneof":["sizeBytes"]},"_mode":{"oneof":["mode"]}},"fields":{"sizeBytes":{"type":"int64","id":1,"protoName":"size_bytes","options":{"proto3_optional":true}},"mode":{"type":"uint32","id":2,"options":{"proto3_optional":true}}}}}},"EndpointSpec":{"oneofs":{"_mode":{"oneof":["mode"]}},"fields":{"mode":{"type":"string","id":1,"options":{"proto3_optional":true}},"ports":{"type":"PortConfigList","id":2}}},"PortConfigList":{"fields":{"items":{"rule":"repeated","type":"PortConfig","id":1}}},"PortConfig":{"oneofs":{"_name":{"oneof":["name"]},"_publishedPort":{"oneof":["publishedPort"]}},"fields":{"name":{"type":"string","id":1,"options":{"proto3_optional":true}},"protocol":{"type":"string","id":2},"targetPort":{"type":"uint32","id":3,"protoName":"target_port"},"publishedPort":{"type":"uint32","id":4,"protoName":"published_port","options":{"proto3_optional":true}},"publishMode":{"type":"string","id":5,"protoName":"publish_mode"}}},"NodeSpec":{"oneofs":{"_name":{"oneof":["name"]}},"fields":{"name":{"type":"string","id":1,"options":{"proto3_optional":true}},"labels":{"type":"StringMap","id":2},"role":{"type":"string","id":3},"availability":{"type":"string","id":4}}},"NetworkSpec":{"oneofs":{"_driver":{"oneof":["driver"]},"_ipv6":{"oneof":["ipv6"]},"_internal":{"oneof":["internal"]},"_attachable":{"oneof":["attachable"]},"_ingress":{"oneof":["ingress"]}},"fields":{"name":{"type":"string","id":1},"labels":{"type":"StringMap","id":2},"driver":{"type":"string","id":3,"options":{"proto3_optional":true}},"options":{"type":"StringMap","id":4},"ipv6":{"type":"bool","id":5,"options":{"proto3_optional":true}},"internal":{"type":"bool","id":6,"options":{"proto3_optional":true}},"attachable":{"type":"bool","id":7,"options":{"proto3_optional":true}},"ingress":{"type":"bool","id":8,"options":{"proto3_optional":true}},"ipam":{"type":"IpamOptions","id":9}}},"IpamOptions":{"oneofs":{"_driver":{"oneof":["driver"]}},"fields":{"driver":{"type":"string","id":1,"options":{"proto3_optional":true}},"options":{"type":"StringMap","id":2},"configs":{"type":"IpamConfigList","id":3}}},"IpamConfigList":{"fields":{"items":{"rule":"repeated","type":"IpamConfig","id":1}}},"IpamConfig":{"oneofs":{"_subnet":{"oneof":["subnet"]},"_range":{"oneof":["range"]},"_gateway":{"oneof":["gateway"]}},"fields":{"subnet":{"type":"string","id":1,"options":{"proto3_optional":true}},"range":{"type":"string","id":2,"options":{"proto3_optional":true}},"gateway":{"type":"string","id":3,"options":{"proto3_optional":true}},"auxiliary":{"type":"StringMap","id":4}}},"ClusterSpec":{"fields":{"name":{"type":"string","id":1},"labels":{"type":"StringMap","id":2},"taskHistoryPerSlot":{"type":"uint64","id":3,"protoName":"task_history_per_slot"},"snapshotEveryEntries":{"type":"uint64","id":4,"protoName":"snapshot_every_entries"},"logEntriesForSlowFollowers":{"type":"uint64","id":5,"protoName":"log_entries_for_slow_followers"},"keepOldSnapshots":{"type":"uint64","id":6,"protoName":"keep_old_snapshots"},"electionTicks":{"type":"uint32","id":7,"protoName":"election_ticks"},"heartbeatTicks":{"type":"uint32","id":8,"protoName":"heartbeat_ticks"},"heartbeatPeriodNs":{"type":"int64","id":9,"protoName":"heartbeat_period_ns"},"nodeCertExpiryNs":{"type":"int64","id":10,"protoName":"node_cert_expiry_ns"},"autoLockManagers":{"type":"bool","id":11,"protoName":"auto_lock_managers"},"defaultLogDriver":{"type":"Driver","id":12,"protoName":"default_log_driver"}}},"NodeLogs":{"methods":{"Read":{"requestType":"LogRequest","responseType":"LogRecords","responseStream":true}}},"LogRequest":{"fields":{"taskId":{"type":"string","id":1,"protoName":"task_id"},"stdout":{"type":"bool","id":2},"stderr":{"type":"bool","id":3},"follow":{"type":"bool","id":4},"sinceNs":{"type":"string","id":5,"protoName":"since_ns"},"untilNs":{"type":"string","id":6,"protoName":"until_ns"},"tail":{"type":"int32","id":7}}},"LogRecords":{"fields":{"records":{"rule":"repeated","type":"LogRecord","id":1}}},"LogRecord":{"fields":{"stderr":{"type":"bool","id":1},"at":{"type":"string","id":2},"data":{"type":"bytes","id":3}}},"RaftEntry":{"fields":{"type":{"type":"uint32","id":1},"term":{"type":"uint64","id":2},"index":{"type":"uint64","id":3},"data":{"type":"bytes","id":4}}},"RaftConfState":{"fields":{"voters":{"rule":"repeated","type":"uint64","id":1},"learners":{"rule":"repeated","type":"uint64","id":2},"votersOutgoing":{"rule":"repeated","type":"uint64","id":3,"protoName":"voters_outgoing"},"learnersNext":{"rule":"repeated","type":"uint64","id":4,"protoName":"learners_next"},"autoLeave":{"type":"bool","id":5,"protoName":"auto_leave"}}},"RaftSnapshotMeta":{"fields":{"index":{"type":"uint64","id":1},"term":{"type":"uint64","id":2},"confState":{"type":"RaftConfState","id":3,"protoName":"conf_state"},"members":{"rule":"repeated","type":"RaftMember","id":4},"nextRaftId":{"type":"uint64","id":5,"protoName":"next_raft_id"}}},"RaftMessage":{"fields":{"type":{"type":"uint32","id":1},"to":{"type":"uint64","id":2},"from":{"type":"uint64","id":3},"term":{"type":"uint64","id":4},"logTerm":{"type":"uint64","id":5,"protoName":"log_term"},"index":{"type":"uint64","id":6},"entries":{"rule":"repeated","type":"RaftEntry","id":7},"commit":{"type":"uint64","id":8},"vote":{"type":"uint64","id":9},"snapshot":{"type":"RaftSnapshotMeta","id":10},"reject":{"type":"bool","id":11},"rejectHint":{"type":"uint64","id":12,"protoName":"reject_hint"},"context":{"type":"bytes","id":13}}},"RaftMember":{"fields":{"raftId":{"type":"uint64","id":1,"protoName":"raft_id"},"nodeId":{"type":"string","id":2,"protoName":"node_id"},"raftAddr":{"type":"string","id":3,"protoName":"raft_addr"},"controlAddr":{"type":"string","id":4,"protoName":"control_addr"}}},"RaftBatch":{"fields":{"messages":{"rule":"repeated","type":"RaftMessage","id":1},"sender":{"type":"RaftMember","id":2}}},"RaftSnapshotChunk":{"fields":{"message":{"type":"RaftMessage","id":1},"data":{"type":"bytes","id":2},"offset":{"type":"uint64","id":3},"last":{"type":"bool","id":4}}},"RaftSnapshotAck":{"fields":{"nextOffset":{"type":"uint64","id":1,"protoName":"next_offset"}}},"RaftRefusal":{"fields":{"code":{"type":"string","id":1},"message":{"type":"string","id":2}}},"RaftFrame":{"oneofs":{"what":{"oneof":["batch","chunk","ack","refusal"]}},"fields":{"batch":{"type":"RaftBatch","id":1},"chunk":{"type":"RaftSnapshotChunk","id":2},"ack":{"type":"RaftSnapshotAck","id":3},"refusal":{"type":"RaftRefusal","id":4}}},"RaftJoinRequest":{"fields":{"nodeId":{"type":"string","id":1,"protoName":"node_id"},"raftAddr":{"type":"string","id":2,"protoName":"raft_addr"},"controlAddr":{"type":"string","id":3,"protoName":"control_addr"}}},"RaftJoinReply":{"fields":{"raftId":{"type":"uint64","id":1,"protoName":"raft_id"},"members":{"rule":"repeated","type":"RaftMember","id":2}}},"RaftLeaveRequest":{"fields":{"nodeId":{"type":"string","id":1,"protoName":"node_id"}}},"RaftLeaveReply":{"fields":{}},"Membership":{"methods":{"Join":{"requestType":"RaftJoinRequest","responseType":"RaftJoinReply"},"Leave":{"requestType":"RaftLeaveRequest","responseType":"RaftLeaveReply"}}},"RaftStandingRequest":{"fields":{}},"RaftStandingReply":{"oneofs":{"_leaderlessSinceMs":{"oneof":["leaderlessSinceMs"]}},"fields":{"nodeId":{"type":"string","id":1,"protoName":"node_id"},"term":{"type":"uint64","id":2},"leader":{"type":"string","id":3},"commitIndex":{"type":"uint64","id":4,"protoName":"commit_index"},"appliedIndex":{"type":"uint64","id":5,"protoName":"applied_index"},"snapshotIndex":{"type":"uint64","id":6,"protoName":"snapshot_index"},"diskBytes":{"type":"uint64","id":7,"protoName":"disk_bytes"},"fsync":{"type":"RaftLatency","id":8},"tickLate":{"type":"RaftLatency","id":9,"protoName":"tick_late"},"leaderlessSinceMs":{"type":"uint64","id":10,"protoName":"leaderless_since_ms","options":{"proto3_optional":true}},"epoch":{"type":"uint32","id":11},"diskFull":{"type":"bool","id":12,"protoName":"disk_full"}}},"RaftLatency":{"fields":{"count":{"type":"uint32","id":1},"p50Ms":{"type":"double","id":2,"protoName":"p50_ms"},"p99Ms":{"type":"double","id":3,"protoName":"p99_ms"}}},"RaftReport":{"methods":{"Standing":{"requestType":"RaftStandingRequest","responseType":"RaftStandingReply"}}},"LogEntry":{"fields":{"format":{"type":"uint32","id":1},"transactions":{"rule":"repeated","type":"Transaction","id":2},"part":{"type":"TransactionPart","id":3}}},"TransactionPart":{"fields":{"proposer":{"type":"uint64","id":1},"serial":{"type":"uint64","id":2},"number":{"type":"uint32","id":3},"count":{"type":"uint32","id":4},"data":{"type":"bytes","id":5}}},"Transaction":{"fields":{"proposer":{"type":"uint64","id":1},"serial":{"type":"uint64","id":2},"atMs":{"type":"uint64","id":3,"protoName":"at_ms"},"expects":{"rule":"repeated","type":"Expectation","id":4},"changes":{"rule":"repeated","type":"Change","id":5}}},"Expectation":{"fields":{"table":{"type":"string","id":1},"id":{"type":"string","id":2},"version":{"type":"uint64","id":3}}},"Change":{"oneofs":{"kind":{"oneof":["putCluster","putNode","putService","putNetwork","createTask","allocateTask","assignTask","setDesired","setTaskStatus","releaseTask","allocateService","setUpdateStatus","rollBackService","allocateNetwork","allocateNode","setNodeStatus","setManagerStatus","setNodeRole","delete","setNodeSpec"]}},"fields":{"putCluster":{"type":"Cluster","id":1,"protoName":"put_cluster"},"putNode":{"type":"Node","id":2,"protoName":"put_node"},"putService":{"type":"Service","id":3,"protoName":"put_service"},"putNetwork":{"type":"Network","id":4,"protoName":"put_network"},"createTask":{"type":"CreateTask","id":5,"protoName":"create_task"},"allocateTask":{"type":"AllocateTask","id":6,"protoName":"allocate_task"},"assignTask":{"type":"AssignTask","id":7,"protoName":"assign_task"},"setDesired":{"type":"SetDesired","id":8,"protoName":"set_desired"},"setTaskStatus":{"type":"SetTaskStatus","id":9,"protoName":"set_task_status"},"releaseTask":{"type":"ReleaseTask","id":10,"protoName":"release_task"},"allocateService":{"type":"AllocateService","id":11,"protoName":"allocate_service"},"setUpdateStatus":{"type":"SetUpdateStatus","id":12,"protoName":"set_update_status"},"rollBackService":{"type":"RollBackService","id":13,"protoName":"roll_back_service"},"allocateNetwork":{"type":"AllocateNetwork","id":14,"protoName":"allocate_network"},"allocateNode":{"type":"AllocateNode","id":15,"protoName":"allocate_node"},"setNodeStatus":{"type":"SetNodeStatus","id":16,"protoName":"set_node_status"},"setManagerStatus":{"type":"SetManagerStatus","id":17,"protoName":"set_manager_status"},"setNodeRole":{"type":"SetNodeRole","id":18,"protoName":"set_node_role"},"delete":{"type":"Delete","id":19},"setNodeSpec":{"type":"SetNodeSpec","id":20,"protoName":"set_node_spec"}},"nested":{"CreateTask":{"oneofs":{"_nodeId":{"oneof":["nodeId"]},"_startAfterMs":{"oneof":["startAfterMs"]},"_attempt":{"oneof":["attempt"]}},"fields":{"serviceId":{"type":"string","id":1,"protoName":"service_id"},"slot":{"type":"uint64","id":2},"nodeId":{"type":"string","id":3,"protoName":"node_id","options":{"proto3_optional":true}},"desired":{"type":"uint32","id":4},"startAfterMs":{"type":"uint64","id":5,"protoName":"start_after_ms","options":{"proto3_optional":true}},"attempt":{"type":"uint32","id":6,"options":{"proto3_optional":true}}}},"AllocateTask":{"fields":{"taskId":{"type":"string","id":1,"protoName":"task_id"},"networks":{"rule":"repeated","type":"NetworkAttachment","id":2}}},"AssignTask":{"fields":{"taskId":{"type":"string","id":1,"protoName":"task_id"},"nodeId":{"type":"string","id":2,"protoName":"node_id"}}},"SetDesired":{"fields":{"taskId":{"type":"string","id":1,"protoName":"task_id"},"desired":{"type":"uint32","id":2}}},"SetTaskStatus":{"fields":{"taskId":{"type":"string","id":1,"protoName":"task_id"},"status":{"type":"TaskStatus","id":2}}},"ReleaseTask":{"fields":{"taskId":{"type":"string","id":1,"protoName":"task_id"}}},"AllocateService":{"fields":{"serviceId":{"type":"string","id":1,"protoName":"service_id"},"endpoint":{"type":"Endpoint","id":2}}},"SetUpdateStatus":{"fields":{"serviceId":{"type":"string","id":1,"protoName":"service_id"},"update":{"type":"UpdateStatus","id":2}}},"RollBackService":{"fields":{"serviceId":{"type":"string","id":1,"protoName":"service_id"},"update":{"type":"UpdateStatus","id":2}}},"AllocateNetwork":{"oneofs":{"_vni":{"oneof":["vni"]}},"fields":{"networkId":{"type":"string","id":1,"protoName":"network_id"},"vni":{"type":"uint32","id":2,"options":{"proto3_optional":true}},"ipam":{"type":"IpamConfigList","id":3}}},"AllocateNode":{"fields":{"nodeId":{"type":"string","id":1,"protoName":"node_id"},"meshIndex":{"type":"uint32","id":2,"protoName":"mesh_index"}}},"SetNodeStatus":{"fields":{"nodeId":{"type":"string","id":1,"protoName":"node_id"},"status":{"type":"NodeStatus","id":2},"description":{"type":"NodeDescription","id":3}}},"SetManagerStatus":{"fields":{"nodeId":{"type":"string","id":1,"protoName":"node_id"},"manager":{"type":"ManagerStatus","id":2}}},"SetNodeRole":{"fields":{"nodeId":{"type":"string","id":1,"protoName":"node_id"},"role":{"type":"string","id":2},"certificateExpiresAtMs":{"type":"uint64","id":3,"protoName":"certificate_expires_at_ms"}}},"Delete":{"fields":{"table":{"type":"string","id":1},"id":{"type":"string","id":2}}},"SetNodeSpec":{"fields":{"nodeId":{"type":"string","id":1,"protoName":"node_id"},"spec":{"type":"NodeSpec","id":2}}}}},"SnapshotRecord":{"oneofs":{"kind":{"oneof":["header","cluster","node","service","network","revision","task","trailer","taskPage","keptPart"]}},"fields":{"header":{"type":"Header","id":1},"cluster":{"type":"Cluster","id":2},"node":{"type":"Node","id":3},"service":{"type":"Service","id":4},"network":{"type":"Network","id":5},"revision":{"type":"Revision","id":6},"task":{"type":"Task","id":7},"trailer":{"type":"Trailer","id":8},"taskPage":{"type":"TaskPage","id":9,"protoName":"task_page"},"keptPart":{"type":"KeptPart","id":10,"protoName":"kept_part"}},"nested":{"Header":{"fields":{"format":{"type":"uint32","id":1},"version":{"type":"uint64","id":2}}},"Trailer":{"fields":{"rows":{"type":"uint64","id":1}}},"KeptPart":{"fields":{"term":{"type":"uint64","id":1},"part":{"type":"TransactionPart","id":2}}}}},"TaskPage":{"fields":{"names":{"rule":"repeated","type":"string","id":1},"words":{"rule":"repeated","type":"string","id":2},"ids":{"type":"bytes","id":3},"services":{"type":"bytes","id":4},"nodes":{"type":"bytes","id":5},"specVersions":{"type":"bytes","id":6,"protoName":"spec_versions"},"slots":{"type":"bytes","id":7},"states":{"type":"bytes","id":8},"desired":{"type":"bytes","id":9},"bodyLengths":{"type":"bytes","id":10,"protoName":"body_lengths"},"bodies":{"type":"bytes","id":11}}}}}}}}};
