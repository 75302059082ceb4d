/**
 * Codes 100, 101, 102, 219, 318 and 319: the KV configuration and the name server's own settings.
 */
import { LedgerError } from '@ringledger/base'
import { ResponseCode, requireExt } from '@ringledger/protocol'
import { formatProperties, parseProperties } from '../config.ts'
import { requireName } from '../fields.ts'
import { jsonBody } from '../route-view.ts'
import { type Handler, SUCCESS } from './handler.ts'

const MAX_VALUE_CHARACTERS = 64 * 1024

/** 100 PUT_KV_CONFIG */
export const putKv: Handler = (request, context) => {
  const namespace = requireName(request.ext, 'namespace')
  const key = requireName(request.ext, 'key')
  const value = requireExt(request.ext, 'value')
  if (value.length > MAX_VALUE_CHARACTERS) {
    throw new LedgerError('TOO_LARGE', `a value may have ${MAX_VALUE_CHARACTERS} characters`)
  }
  context.kv.put(namespace, key, value)
  return SUCCESS
}

/** 101 GET_KV_CONFIG */
export const getKv: Handler = (request, context) => {
  const namespace = requireName(request.ext, 'namespace')
  const key = requireName(request.ext, 'key')
  const value = context.kv.get(namespace, key)
  if (value !== undefined) return { code: ResponseCode.SUCCESS, ext: { value } }
  const remark = `No config item, Namespace: ${namespace} Key: ${key}`
  return { code: ResponseCode.QUERY_NOT_FOUND, remark }
}

/** 102 DELETE_KV_CONFIG */
export const deleteKv: Handler = (request, context) => {
  context.kv.delete(requireName(request.ext, 'namespace'), requireName(request.ext, 'key'))
  return SUCCESS
}

/** 219 GET_KVLIST_BY_NAMESPACE */
export const listKv: Handler = (request, context) => {
  const namespace = requireName(request.ext, 'namespace')
  const keys = context.kv.list(namespace)
  if (keys === undefined) {
    const remark = `No config item, Namespace: ${namespace}`
    return { code: ResponseCode.QUERY_NOT_FOUND, remark }
  }
  return { code: ResponseCode.SUCCESS, body: jsonBody({ table: Object.fromEntries(keys) }) }
}

/** 318 UPDATE_NAMESRV_CONFIG */
export const updateSettings: Handler = (request, context) => {
  const properties = parseProperties(request.body.toString('utf8'))
  if (context.settings.touchesBlackList(properties)) {
    return { code: ResponseCode.NO_PERMISSION, remark: 'Can not update config in black list.' }
  }
  const ignored = context.settings.change(properties)
  context.log.info({ changed: Object.fromEntries(properties) }, 'configuration changed')
  if (ignored.length > 0) context.log.warn({ ignored }, 'these keys have no effect here')
  return SUCCESS
}

/** 319 GET_NAMESRV_CONFIG */
export const getSettings: Handler = (_request, context) => {
  return {
    code: ResponseCode.SUCCESS,
    body: Buffer.from(formatProperties(context.settings.properties())),
  }
}
