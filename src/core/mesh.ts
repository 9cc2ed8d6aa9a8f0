/** Where agents answer each other unless a config says otherwise. */
export const MESH_PORT = 9798

export const MESH_PROTOCOLS = ['tcp', 'udp'] as const
export type MeshProtocol = (typeof MESH_PROTOCOLS)[number]

/** What is made of a question: answered, refused (it is none, and gets no word), limited (there were too many), failed (the answer could not be sent). */
export const MESH_RESULTS = ['answered', 'refused', 'limited', 'failed'] as const
export type MeshResult = (typeof MESH_RESULTS)[number]
