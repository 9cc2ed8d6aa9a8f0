import type { CodeSpec } from '../../core/codes.ts'
import { ProbeFailure } from '../../core/probe.ts'

/** Whose error numbers are meant: above 1,999 MySQL and MariaDB number differently. */
export type Product = 'mysql' | 'mariadb'

/** What MySQL and MariaDB do wrong; a code with a number is the server's errno. */
export const MYSQL_CODES = {
  mysql_1040: { layer: 'connect', reason: 'overloaded', en: 'The server has reached max_connections and turns new clients away: look for a leak of connections.', zh: '服务器已达到 max_connections，拒绝新的客户端：请检查是否有连接泄漏。' },
  mysql_1135: { layer: 'connect', reason: 'overloaded', en: 'The server cannot start a thread for a new client: look at its memory and its process limit.', zh: '服务器无法为新客户端创建线程：请检查内存与进程数上限。' },
  mysql_1129: { layer: 'connect', reason: 'denied', en: 'The server has blocked this host after too many broken connections: find what connects without a login, then run FLUSH HOSTS (newer MySQL: TRUNCATE TABLE performance_schema.host_cache).', zh: '服务器因过多中断的连接而屏蔽了本机：请找出未登录就断开的程序，然后执行 FLUSH HOSTS（较新的 MySQL：TRUNCATE TABLE performance_schema.host_cache）。' },
  mysql_1130: { layer: 'auth', reason: 'denied', en: 'The server has no account for this host: look at the host part of the account.', zh: '服务器没有允许本机登录的账户：请检查账户的主机部分。' },
  mysql_1045: { layer: 'auth', reason: 'denied', en: 'The server refuses the login: wrong user name or password; or the account wants TLS, which MariaDB reports the same way.', zh: '服务器拒绝登录：用户名或密码错误；账户要求 TLS 时 MariaDB 也返回同样的错误。' },
  mysql_1698: { layer: 'auth', reason: 'denied', en: 'The account has no password and logs in over the socket only: give the prober an account of its own.', zh: '该账户没有密码，只能通过本地套接字登录：请为探测器建立独立账户。' },
  mysql_locked: { layer: 'auth', reason: 'denied', en: 'The account is locked: ALTER USER … ACCOUNT UNLOCK.', zh: '账户已被锁定：请执行 ALTER USER … ACCOUNT UNLOCK。' },
  mysql_blocked: { layer: 'auth', reason: 'denied', en: 'The account is blocked after too many wrong passwords: find who sends them, then unlock it.', zh: '账户因密码错误次数过多被封锁：请找出来源后解除锁定。' },
  mysql_1820: { layer: 'auth', reason: 'expired', en: 'The password of the account has expired: set a new one, or PASSWORD EXPIRE NEVER.', zh: '账户密码已过期：请设置新密码，或使用 PASSWORD EXPIRE NEVER。' },
  mysql_1862: { layer: 'auth', reason: 'expired', en: 'The password of the account has expired and the server lets nobody in with it: set a new one.', zh: '账户密码已过期，服务器拒绝登录：请设置新密码。' },
  mysql_1203: { layer: 'auth', reason: 'overloaded', en: 'The user has as many connections as max_user_connections allows.', zh: '该用户的连接数已达到 max_user_connections。' },
  mysql_1226: { layer: 'auth', reason: 'overloaded', en: 'The account has used up a limit of its own (MAX_USER_CONNECTIONS or MAX_…_PER_HOUR): a prober needs 3 connections.', zh: '账户已用尽自身的资源限制（MAX_USER_CONNECTIONS 或 MAX_…_PER_HOUR）：一个探测器需要 3 个连接。' },
  mysql_1044: { layer: 'auth', reason: 'not_found', en: 'The database does not exist, or the account has no right to it.', zh: '数据库不存在，或账户没有访问权限。' },
  mysql_1049: { layer: 'auth', reason: 'not_found', en: 'The database does not exist.', zh: '数据库不存在。' },
  mysql_1142: { layer: 'auth', reason: 'denied', en: 'The account may not use a table that the probe needs: compare its grants with docs/mysql.md.', zh: '账户无权使用探测所需的表：请对照 docs/mysql.md 检查授权。' },
  mysql_1143: { layer: 'auth', reason: 'denied', en: 'The account may not use a column that the probe needs: compare its grants with docs/mysql.md.', zh: '账户无权使用探测所需的列：请对照 docs/mysql.md 检查授权。' },
  mysql_1227: { layer: 'auth', reason: 'denied', en: 'The account lacks a global privilege: whether a server is a replica must be known before the heartbeat is written.', zh: '账户缺少全局权限：写入心跳前必须能判断服务器是否为副本。' },
  mysql_1524: { layer: 'auth', reason: 'unsupported', en: 'The account logs in by a plugin that the server has not loaded (mysql_native_password since MySQL 9): change the account to caching_sha2_password.', zh: '账户使用了服务器未加载的认证插件（MySQL 9 起不再有 mysql_native_password）：请改用 caching_sha2_password。' },
  mysql_1251: { layer: 'auth', reason: 'unsupported', en: 'The server wants a way to log in that is too old or not spoken here.', zh: '服务器要求的认证方式过旧或不受支持。' },
  mysql_1275: { layer: 'auth', reason: 'unsupported', en: 'The account still has a password of before MySQL 4.1: set it anew.', zh: '账户仍使用 MySQL 4.1 之前的密码格式：请重新设置密码。' },
  mysql_auth_plugin: { layer: 'auth', reason: 'unsupported', en: 'The account logs in by a plugin that Curlew does not speak or that would send the password in clear text: use caching_sha2_password, in MariaDB mysql_native_password.', zh: '账户使用的认证插件 Curlew 不支持或会明文发送密码：请使用 caching_sha2_password，MariaDB 请用 mysql_native_password。' },
  mysql_1184: { layer: 'auth', reason: 'unavailable', en: 'The server ends the login because the statement of init_connect fails for this account: mend it, or grant the account what it needs.', zh: 'init_connect 的语句对该账户执行失败，服务器中断了登录：请修正该语句，或授予账户所需权限。' },
  mysql_3159: { layer: 'tls', reason: 'denied', en: 'The server takes connections over TLS only: use mysqls:// or tls: true.', zh: '服务器只接受 TLS 连接：请使用 mysqls:// 或 tls: true。' },
  mysql_3032: { layer: 'request', reason: 'unavailable', en: 'The server is in offline_mode and lets administrators in only.', zh: '服务器处于 offline_mode，仅允许管理员登录。' },
  mysql_1047: { layer: 'request', reason: 'unavailable', en: 'The Galera node is not part of the cluster: look at wsrep_cluster_status and wsrep_ready.', zh: 'Galera 节点未加入集群：请检查 wsrep_cluster_status 与 wsrep_ready。' },
  mysql_1053: { layer: 'request', reason: 'unavailable', en: 'The server is shutting down.', zh: '服务器正在关闭。' },
  mysql_1927: { layer: 'request', reason: 'reset', en: 'Somebody killed the connection of the probe.', zh: '探测的连接被终止（KILL）。' },
  mysql_4031: { layer: 'request', reason: 'reset', en: 'The server closed the connection of the probe for being idle: look at wait_timeout.', zh: '服务器因空闲关闭了探测的连接：请检查 wait_timeout。' },
  mysql_1317: { layer: 'request', reason: 'reset', en: 'Somebody killed the statement of the probe.', zh: '探测的语句被终止（KILL QUERY）。' },
  mysql_1290: { layer: 'request', reason: 'read_only', en: 'The server is read-only: look for a failover, or for read_only left behind.', zh: '服务器为只读：请检查是否发生主从切换，或 read_only 未恢复。' },
  mysql_1836: { layer: 'request', reason: 'read_only', en: 'InnoDB is in read-only mode.', zh: 'InnoDB 处于只读模式。' },
  mysql_1792: { layer: 'request', reason: 'read_only', en: 'The statement of the probe writes: query must only read.', zh: '探测语句包含写操作：query 只能读取。' },
  mysql_1461: { layer: 'request', reason: 'overloaded', en: 'The server has as many prepared statements as max_prepared_stmt_count allows, and every client that prepares one fails: look for one that does not close them.', zh: '预处理语句数已达到 max_prepared_stmt_count，所有使用预处理的客户端都会失败：请查找未关闭语句的程序。' },
  mysql_1041: { layer: 'request', reason: 'overloaded', en: 'The server is out of memory.', zh: '服务器内存不足。' },
  mysql_1213: { layer: 'request', reason: 'overloaded', en: 'A deadlock, or a conflict between Galera nodes, undid the heartbeat.', zh: '死锁或 Galera 节点间冲突导致心跳写入回滚。' },
  mysql_1205: { layer: 'request', reason: 'timeout', en: 'The row or table is locked: look for a long transaction or an ALTER TABLE.', zh: '行或表被锁定：请检查长事务或 ALTER TABLE。' },
  mysql_3024: { layer: 'request', reason: 'timeout', en: 'The server did not finish the statement in the time that the probe gives it.', zh: '服务器未能在探测给定的时间内完成语句。' },
  mysql_1969: { layer: 'request', reason: 'timeout', en: 'The server did not finish the statement in the time that the probe gives it.', zh: '服务器未能在探测给定的时间内完成语句。' },
  mysql_1021: { layer: 'request', reason: 'full', en: 'The disk of the server is full.', zh: '服务器磁盘已满。' },
  mysql_1114: { layer: 'request', reason: 'full', en: 'A table of the server is full: look at its disk and at the limits of its tablespaces.', zh: '服务器的表已满：请检查磁盘与表空间上限。' },
  mysql_1030: { layer: 'request', reason: 'other', en: 'The storage engine reports an error: its number is in the message (28 is a full disk).', zh: '存储引擎报告错误：编号见消息（28 表示磁盘已满）。' },
  mysql_1046: { layer: 'request', reason: 'not_found', en: 'The query names no database: set database.', zh: '查询未指定数据库：请设置 database。' },
  mysql_1054: { layer: 'request', reason: 'not_found', en: 'A column does not exist: look at the query and at the columns of the heartbeat table.', zh: '列不存在：请检查 query 与心跳表的列。' },
  mysql_1146: { layer: 'request', reason: 'not_found', en: 'A table does not exist: look at the query, and make the heartbeat table as docs/mysql.md shows.', zh: '表不存在：请检查 query，并按 docs/mysql.md 建立心跳表。' },
  mysql_1064: { layer: 'request', reason: 'unsupported', en: 'The server does not understand the query.', zh: '服务器无法解析该查询。' },
  mysql_protocol: { layer: 'request', reason: 'protocol', en: 'Something that is not MySQL answers on the port.', zh: '该端口上应答的不是 MySQL。' },
  mysql_too_large: { layer: 'request', reason: 'other', en: 'The query returns more than the probe reads: ask for less.', zh: '查询结果超过探测可读取的大小：请缩小查询范围。' },
  mysql_wrong_value: { layer: 'assert', reason: 'mismatch', en: 'The server does not return what was written or sent a moment before.', zh: '服务器返回的内容与刚写入或发送的不一致。' },
  mysql_other: { reason: 'other', en: 'The server answered with an error that has no code of its own: see the message.', zh: '服务器返回了没有专属代码的错误：请查看消息。', unmapped: true },
} as const satisfies Readonly<Record<string, CodeSpec>>

export type MysqlCode = keyof typeof MYSQL_CODES

/** Numbers that stand for something else, or for nothing, in the other product; and those that are named by their meaning. */
const BY_PRODUCT: Readonly<Record<number, Readonly<Partial<Record<Product, MysqlCode>>>>> = {
  1927: { mariadb: 'mysql_1927' },
  1969: { mariadb: 'mysql_1969' },
  3024: { mysql: 'mysql_3024' },
  3032: { mysql: 'mysql_3032' },
  3118: { mysql: 'mysql_locked' },
  3955: { mysql: 'mysql_blocked' },
  4031: { mysql: 'mysql_4031' },
  4150: { mariadb: 'mysql_blocked' },
  4151: { mariadb: 'mysql_locked' },
}

/** Servers may send prose of any length; a message stays a line. */
const LONGEST_MESSAGE = 300

/** The failure that an error of the server stands for. `product` is not known before its greeting; then only shared numbers come. */
export function mysqlError(errno: number, message: string, product: Product | undefined): ProbeFailure {
  const own = BY_PRODUCT[errno]
  const shared = `mysql_${errno}`
  const code = own ? product && own[product] : isCode(shared) ? shared : undefined
  return mysqlFailure(code ?? 'mysql_other', `error ${errno}: ${message}`)
}

/** A failure of one of the codes above, with a message of bounded length. */
export function mysqlFailure(code: MysqlCode, message: string): ProbeFailure {
  return new ProbeFailure(code, message.slice(0, LONGEST_MESSAGE))
}

/** Which product a version of the greeting belongs to: `8.4.3`, `5.5.5-10.11.6-MariaDB-…`. */
export function productOf(version: string): Product {
  return /mariadb/i.test(version) ? 'mariadb' : 'mysql'
}

function isCode(code: string): code is MysqlCode {
  return Object.hasOwn(MYSQL_CODES, code)
}
