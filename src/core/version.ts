/** The version of this Curlew, as package.json has it. */
export const VERSION = '0.1.0'
