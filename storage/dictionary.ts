import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { ByteReader } from './byte-reader.js'
import type { ByteWriter } from './byte-writer.js'
import { NO_DICTIONARY } from './frames.js'

/** Bytes that may be read: the window of deflate. What is written is shorter, and may become longer. */
const WINDOW_BYTES = 32 * 1024

/** Settings of zlib for what is some lines long: setting up the usual window would take longer than deflating. */
const SMALL = { windowBits: 11, memLevel: 4 }

/** Writes a dictionary, deflated, so that what was deflated behind it can be read without any other value. */
export function writeDictionary(writer: ByteWriter, dictionary: Buffer): void {
  writer.varint(dictionary.length)
  if (dictionary.length > 0) writer.sized(deflateRawSync(dictionary, SMALL))
}

/** @throws CorruptRecordError */
export function readDictionary(reader: ByteReader): Buffer {
  const length = reader.count(WINDOW_BYTES)
  if (length === 0) return NO_DICTIONARY
  const deflated = reader.sized()
  try {
    const dictionary = inflateRawSync(deflated, { maxOutputLength: length + 1, chunkSize: Math.max(64, length + 1) })
    if (dictionary.length === length) return dictionary
  } catch {
    // Told apart from a wrong length by nothing that matters.
  }
  return reader.fail('its dictionary does not inflate to its length')
}
