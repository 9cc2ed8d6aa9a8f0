/** Constants of Linux as its headers name them: the same on every machine that `libc` accepts, and on glibc and musl. */
export const AF_INET = 2
export const AF_INET6 = 10

export const SOCK_STREAM = 1
export const SOCK_DGRAM = 2
export const SOCK_RAW = 3
export const SOCK_NONBLOCK = 0o4000
export const SOCK_CLOEXEC = 0o2000000

export const IPPROTO_ICMP = 1
export const IPPROTO_UDP = 17
export const IPPROTO_ICMPV6 = 58

export const SOL_SOCKET = 1
export const SO_ERROR = 4
export const SO_SNDBUF = 7
export const SO_RCVBUF = 8
export const SO_SNDBUFFORCE = 32
export const SO_RCVBUFFORCE = 33
export const SO_TIMESTAMPNS = 35
export const SO_MEMINFO = 55
/** Index of the drop counter among the uint32 of SO_MEMINFO. */
export const SK_MEMINFO_DROPS = 8

export const SOL_IP = 0
export const IP_TTL = 2
export const IP_MTU_DISCOVER = 10
export const IP_RECVERR = 11
export const IP_RECVTTL = 12
export const IP_PMTUDISC_DONT = 0
/** Sets the don't-fragment bit, and keeps to the interface's MTU alone: what the path takes is for its routers to say. */
export const IP_PMTUDISC_PROBE = 3

export const SOL_IPV6 = 41
export const IPV6_UNICAST_HOPS = 16
export const IPV6_MTU_DISCOVER = 23
export const IPV6_RECVERR = 25
export const IPV6_RECVHOPLIMIT = 51
export const IPV6_HOPLIMIT = 52

export const SOL_RAW = 255
export const ICMP_FILTER = 1
export const SOL_ICMPV6 = 58
export const ICMPV6_FILTER = 1

export const MSG_TRUNC = 0x20
export const MSG_DONTWAIT = 0x40
export const MSG_ERRQUEUE = 0x2000
export const MSG_NOSIGNAL = 0x4000

/** ee_origin of struct sock_extended_err: who found the error. */
export const SO_EE_ORIGIN_ICMP = 2
export const SO_EE_ORIGIN_ICMP6 = 3

export const CLOCK_REALTIME = 0
