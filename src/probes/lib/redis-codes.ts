import { ProbeFailure, type CodeSpec } from '../../core/probe.ts'

/** What a Redis server (or whatever answers in its place) can be found guilty of. */
export const REDIS_CODES = {
  redis_loading: { layer: 'request', reason: 'loading', en: 'Redis is still loading its data from disk: it answers when that is done.', zh: 'Redis 正在从磁盘加载数据，加载完成后才会应答。' },
  redis_misconf: { layer: 'request', reason: 'overloaded', en: 'Redis cannot save to disk and therefore refuses writes: look at its disk space and its log.', zh: 'Redis 无法持久化到磁盘，因此拒绝写入：请检查磁盘空间及其日志。' },
  redis_oom: { layer: 'request', reason: 'overloaded', en: 'Redis has used up maxmemory and its policy evicts nothing: writes are refused.', zh: 'Redis 已用满 maxmemory 且策略不淘汰数据：写入被拒绝。' },
  redis_readonly: { layer: 'request', reason: 'read_only', en: 'Redis refuses writes because it is a replica: look for a failover that the clients have not followed.', zh: 'Redis 是只读副本，拒绝写入：请检查是否发生了故障切换而客户端未跟随。' },
  redis_masterdown: { layer: 'request', reason: 'unavailable', en: 'The replica has lost its master and is told not to serve old data (replica-serve-stale-data no).', zh: '副本与主库断开，且配置为不提供过期数据（replica-serve-stale-data no）。' },
  redis_noreplicas: { layer: 'request', reason: 'overloaded', en: 'Redis refuses writes because too few replicas are in sync (min-replicas-to-write).', zh: '同步的副本数量不足（min-replicas-to-write），Redis 拒绝写入。' },
  redis_busy: { layer: 'request', reason: 'overloaded', en: 'A script or function has been blocking Redis for longer than busy-reply-threshold.', zh: '某个脚本或函数阻塞 Redis 的时间已超过 busy-reply-threshold。' },
  redis_clusterdown: { layer: 'request', reason: 'unavailable', en: 'The Redis Cluster does not serve the slot: slots are uncovered, or too many masters are down.', zh: 'Redis 集群无法提供该槽位的服务：有槽未分配，或宕机的主节点过多。' },
  redis_moved: { layer: 'request', reason: 'unsupported', en: 'This is one node of a Redis Cluster and the key belongs to another: probe the cluster with type redis-cluster, or the node with mode read-only.', zh: '这是 Redis 集群的一个节点，而该键属于其他节点：请用 redis-cluster 类型探测整个集群，或用 mode: read-only 探测该节点。' },
  redis_sentinel: { layer: 'request', reason: 'unsupported', en: 'A Redis Sentinel answers, not a Redis server: check the port, or probe it with type redis-sentinel.', zh: '应答的是 Redis Sentinel 而非 Redis 服务器：请检查端口，或改用 redis-sentinel 类型探测。' },
  redis_max_clients: { layer: 'connect', reason: 'overloaded', en: 'Redis has reached maxclients and turns new connections away.', zh: 'Redis 已达到 maxclients 上限，拒绝新连接。' },
  redis_protected_mode: { layer: 'auth', reason: 'denied', en: 'Redis runs in protected mode: it has no password and takes connections from its own host only.', zh: 'Redis 处于保护模式：未设置密码，只接受本机连接。' },
  redis_noauth: { layer: 'auth', reason: 'denied', en: 'Redis wants a login: set password, and username where there are ACL users.', zh: 'Redis 要求认证：请设置 password，使用 ACL 用户时还需设置 username。' },
  redis_wrongpass: { layer: 'auth', reason: 'denied', en: 'Redis refuses the login: wrong user name or password, or the user is off.', zh: 'Redis 拒绝登录：用户名或密码错误，或该用户已停用。' },
  redis_no_password_set: { layer: 'auth', reason: 'denied', en: 'A password is configured here, but Redis has none for its default user: look at what changed on the server.', zh: '此处配置了密码，但 Redis 的默认用户没有密码：请检查服务器端的变更。' },
  redis_no_acl: { layer: 'auth', reason: 'unsupported', en: 'This Redis is older than ACL users (6.0): set password without username.', zh: '该 Redis 版本早于 6.0，不支持 ACL 用户：请只设置 password。' },
  redis_noperm: { layer: 'auth', reason: 'denied', en: 'The ACL of the user does not allow what the probe does: grant the commands and the key pattern.', zh: '该用户的 ACL 不允许探测所需的操作：请授予相应命令与键模式。' },
  redis_unknown_db: { layer: 'auth', reason: 'not_found', en: 'Redis has no database of that number: look at db and at the databases setting.', zh: 'Redis 没有该编号的数据库：请检查 db 与 databases 设置。' },
  redis_select_in_cluster: { layer: 'request', reason: 'unsupported', en: 'Redis runs in cluster mode, which has database 0 only: leave out db.', zh: 'Redis 以集群模式运行，只有 0 号数据库：请去掉 db。' },
  redis_unknown_command: { layer: 'request', reason: 'unsupported', en: 'The server does not know a command that the probe needs: it is renamed, or a proxy answers.', zh: '服务器不支持探测所需的命令：可能被重命名，或由代理应答。' },
  redis_protocol: { layer: 'request', reason: 'protocol', en: 'Something that is not Redis answers on the port.', zh: '该端口上应答的不是 Redis。' },
  redis_wrong_value: { layer: 'assert', reason: 'mismatch', en: 'Redis does not return what was written a moment before.', zh: 'Redis 返回的内容与刚写入的不一致。' },
  redis_other: { reason: 'other', en: 'Redis answered with an error that has no code of its own: see the message.', zh: 'Redis 返回了没有专属代码的错误：请查看消息。', unmapped: true },
} as const satisfies Readonly<Record<string, CodeSpec>>

/** Beside those, what Sentinels and the master that they name can be found guilty of. */
export const REDIS_SENTINEL_CODES = {
  redis_not_sentinel: { layer: 'request', reason: 'unsupported', en: 'A Redis server answers, not a Sentinel: check the port.', zh: '应答的是 Redis 服务器而非 Sentinel：请检查端口。' },
  redis_no_such_master: { layer: 'request', reason: 'not_found', en: 'No Sentinel that answers monitors a master of that name: check the name and sentinel monitor.', zh: '所有应答的 Sentinel 都未监控该名称的主库：请检查名称与 sentinel monitor 配置。' },
  redis_idontknow: { layer: 'request', reason: 'unavailable', en: 'The Sentinel does not commit itself at the moment: look for TILT mode in its log.', zh: 'Sentinel 暂时无法给出结论：请在其日志中查看是否处于 TILT 模式。' },
  redis_sentinel_split: { layer: 'assert', reason: 'mismatch', en: 'The Sentinels name different masters, so that clients write to both: look for a failover that some of them have not seen.', zh: '各 Sentinel 给出的主库不一致，客户端可能写入不同实例：请检查是否有 Sentinel 未感知故障切换。' },
  redis_sentinel_not_master: { layer: 'assert', reason: 'mismatch', en: 'The server that the Sentinels name is no master: clients that ask them cannot write.', zh: 'Sentinel 给出的地址并非主库：依赖 Sentinel 的客户端无法写入。' },
} as const satisfies Readonly<Record<string, CodeSpec>>

/** Beside those of a server, what a Redis Cluster can be found guilty of. */
export const REDIS_CLUSTER_CODES = {
  redis_not_cluster: { layer: 'request', reason: 'unsupported', en: 'The server does not run in cluster mode: probe it with type redis.', zh: '该服务器未启用集群模式：请改用 redis 类型探测。' },
  redis_cluster_fragmented: { layer: 'prober', reason: 'unsupported', en: 'The slot map is in more pieces than Curlew reads, some thousands of ranges: give the masters fewer and longer ranges, or probe the nodes one by one.', zh: '槽映射的分段数超过 Curlew 可读取的上限（数千段）：请让各主节点持有更少、更长的槽范围，或逐个探测节点。' },
  redis_cluster_uncovered: { layer: 'request', reason: 'unavailable', en: 'Slots belong to no node: every key in them fails. Look at redis-cli --cluster check.', zh: '有槽未分配给任何节点，其中的键均不可用：请用 redis-cli --cluster check 检查。' },
  redis_cluster_redirects: { layer: 'assert', reason: 'mismatch', en: 'A node sends clients elsewhere for slots that are its own by the slot map: the nodes disagree, or a migration is stuck.', zh: '节点将客户端重定向，但槽映射显示这些槽属于该节点：节点间视图不一致，或槽迁移卡住。' },
} as const satisfies Readonly<Record<string, CodeSpec>>

export type RedisCode = keyof typeof REDIS_CODES

/**
 * Errors carry their kind in the first word. Only that word is compared: the rest is prose that differs between
 * versions and forks ("LOADING Valkey is loading the dataset in memory").
 */
const BY_FIRST_WORD: Readonly<Record<string, RedisCode>> = {
  LOADING: 'redis_loading', MISCONF: 'redis_misconf', OOM: 'redis_oom', READONLY: 'redis_readonly',
  MASTERDOWN: 'redis_masterdown', NOREPLICAS: 'redis_noreplicas', BUSY: 'redis_busy',
  CLUSTERDOWN: 'redis_clusterdown', MOVED: 'redis_moved', ASK: 'redis_moved', TRYAGAIN: 'redis_moved',
  NOAUTH: 'redis_noauth', WRONGPASS: 'redis_wrongpass', NOPERM: 'redis_noperm', DENIED: 'redis_protected_mode',
}

/** What the generic word ERR stands before; beginnings of lines of Redis 2.6 to 8. */
const BY_BEGINNING: readonly (readonly [string, RedisCode])[] = [
  ['ERR max number of clients', 'redis_max_clients'],
  ['ERR AUTH <password> called without any password', 'redis_no_password_set'],
  ['ERR Client sent AUTH, but no password is set', 'redis_no_password_set'],
  ['ERR invalid password', 'redis_wrongpass'],
  ["ERR wrong number of arguments for 'auth' command", 'redis_no_acl'],
  ['ERR SELECT is not allowed in cluster mode', 'redis_select_in_cluster'],
  ['ERR DB index is out of range', 'redis_unknown_db'],
  ['ERR invalid DB index', 'redis_unknown_db'],
  ['ERR unknown command', 'redis_unknown_command'],
]

/** Servers may send prose of any length; a message stays a line. */
const LONGEST_MESSAGE = 300

/** The failure that an error line of Redis (without its `-`) stands for. */
export function redisError(line: string): ProbeFailure {
  const known = BY_FIRST_WORD[/^[A-Z]+/.exec(line)?.[0] ?? '']
    ?? BY_BEGINNING.find(([beginning]) => line.startsWith(beginning))?.[1]
    ?? 'redis_other'
  return redisFailure(known, line)
}

/** A failure of one of the codes above, with a message of bounded length. */
export function redisFailure(code: RedisCode, message: string): ProbeFailure {
  return new ProbeFailure(code, message.slice(0, LONGEST_MESSAGE))
}
