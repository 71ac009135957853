import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { ByteReader } from './byte-reader.js'
import type { ByteWriter } from './byte-writer.js'
import { MAX_DICTIONARY_BYTES, NO_DICTIONARY } from './frames.js'

/** Writes a dictionary, deflated, so that what was deflated behind it can be read without any other value. */
export function writeDictionary(writer: ByteWriter, dictionary: Buffer): void {
  writer.varint(dictionary.length)
  if (dictionary.length > 0) writer.sized(deflateRawSync(dictionary))
}

/** @throws CorruptRecordError */
export function readDictionary(reader: ByteReader): Buffer {
  const length = reader.count(MAX_DICTIONARY_BYTES)
  if (length === 0) return NO_DICTIONARY
  const deflated = reader.sized()
  try {
    const dictionary = inflateRawSync(deflated, { maxOutputLength: MAX_DICTIONARY_BYTES })
    if (dictionary.length === length) return dictionary
  } catch {
    // Told apart from a wrong length by nothing that matters.
  }
  return reader.fail('its dictionary does not inflate to its length')
}
