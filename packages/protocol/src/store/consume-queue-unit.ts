/**
 * One 20-byte unit of a consume queue (reference rocketmq-store.md §2.1): int64 physical offset,
 * int32 message size, int64 tags code. Unit k of a queue is the message with queue offset k.
 */
import { getInt64, setInt64 } from '../bytes.ts'

export const CQ_UNIT_BYTES = 20
/** Size field of a unit that fills a queue's first file below its first real unit. */
export const CQ_FILLER_SIZE = 0x7fffffff

export interface ConsumeQueueUnit {
  physicalOffset: number
  sizeBytes: number
  tagsCode: number
}

/** `tagsCode`: hash of the tag (sign-extended), or the due time in ms in the schedule topic. */
export function writeConsumeQueueUnit(
  view: DataView,
  offset: number,
  physicalOffset: number,
  sizeBytes: number,
  tagsCode: number,
): void {
  setInt64(view, offset, physicalOffset)
  view.setInt32(offset + 8, sizeBytes)
  setInt64(view, offset + 12, tagsCode)
}

export function readConsumeQueueUnit(view: DataView, offset: number): ConsumeQueueUnit {
  return {
    physicalOffset: cqPhysicalOffset(view, offset),
    sizeBytes: cqSizeBytes(view, offset),
    tagsCode: cqTagsCode(view, offset),
  }
}

export function cqPhysicalOffset(view: DataView, offset: number): number {
  return getInt64(view, offset)
}

/** 0 or less: no unit here yet. `CQ_FILLER_SIZE`: a filler, not a message. */
export function cqSizeBytes(view: DataView, offset: number): number {
  return view.getInt32(offset + 8)
}

export function cqTagsCode(view: DataView, offset: number): number {
  return getInt64(view, offset + 12)
}
