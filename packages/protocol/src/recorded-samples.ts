/** Reads the recorded test vectors of `testdata/`; only tests import this. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

const FOLDER = new URL('../testdata/', import.meta.url)

function jsonLines<T>(name: string): T[] {
  const text = gunzipSync(readFileSync(new URL(name, FOLDER))).toString('utf8')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): T => JSON.parse(line))
}

export interface Exchange {
  name: string
  code: number
  request: Buffer | undefined
  response: Buffer | undefined
}

function bufferOf(hex: string | null): Buffer | undefined {
  return hex === null ? undefined : Buffer.from(hex, 'hex')
}

/** The 191 named exchanges. */
export function remotingSamples(): Exchange[] {
  type Line = { name: string; code: number; request: string | null; response: string | null }
  return jsonLines<Line>('remoting-samples.jsonl.gz').map(({ name, code, request, response }) => ({
    name,
    code,
    request: bufferOf(request),
    response: bufferOf(response),
  }))
}

/** Every frame of the 191 exchanges, requests and responses, by name. */
export function sampleFrames(): Array<{ name: string; frame: Buffer }> {
  return remotingSamples().flatMap(({ name, request, response }) => [
    ...(request === undefined ? [] : [{ name: `${name} request`, frame: request }]),
    ...(response === undefined ? [] : [{ name: `${name} response`, frame: response }]),
  ])
}

/** Every frame of the whole recording. */
export function recordedFrames(): Buffer[] {
  return jsonLines<{ hex?: string }>('all-frames.jsonl.gz').flatMap(({ hex }) =>
    hex === undefined ? [] : [Buffer.from(hex, 'hex')],
  )
}

export function dledgerFrames(): Array<{ name: string; frame: Buffer }> {
  return jsonLines<{ name: string; frame: string }>('dledger-frames.jsonl.gz').map((line) => ({
    name: line.name,
    frame: Buffer.from(line.frame, 'hex'),
  }))
}

/** A file of `testdata/dledger/` in hex, any line width. */
export function dledgerBytes(name: string): Buffer {
  const text = readFileSync(new URL(`dledger/${name}.hex`, FOLDER), 'utf8')
  return Buffer.from(text.replace(/\s/g, ''), 'hex')
}

export function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
