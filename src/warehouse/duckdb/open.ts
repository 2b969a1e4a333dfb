import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import type { Warehouse } from '../../sdk/index.js'
import { makeFolders } from '../../sdk/folders.js'
import { WarehouseOpenError } from '../errors.js'
import { Notices } from '../notices.js'
import { Presence } from '../presence.js'
import { TransactionalWarehouse } from '../transactional.js'
import { DuckdbEngine } from './engine.js'
import { openError } from './errors.js'
import { Memory, OPENING_MEMORY } from './memory.js'

export interface DuckdbOptions {
  /** A file, or `:memory:`. */
  readonly path: string
  /** `plan` reads only: a file that does not exist is taken as empty and is not created. */
  readonly mode: 'write' | 'plan'
  /** Default 2. */
  readonly threads?: number | undefined
  /** What DuckDB may hold in memory before it spills, for example `512MB`. Default `40MB`, and more where that is not enough. */
  readonly memoryLimit?: string | undefined
  /** Where it spills. Default: beside the file. */
  readonly tempDirectory?: string | undefined
}

/**
 * Opens a DuckDB file, or makes it with its folder. One process at a time can have it open.
 *
 * @throws {WarehouseHeldError} naming the process that has it.
 * @throws {WarehouseOpenError} for a folder, a file of another kind, missing permissions.
 * @throws {LedgerVersionError} when a newer pipe wrote it.
 */
export async function openDuckdb({ path, mode, threads = 2, memoryLimit, tempDirectory }: DuckdbOptions): Promise<Warehouse> {
  const display = `duckdb:${path}`
  const found = path === ':memory:' ? undefined : await look(path, display)
  const memory = path === ':memory:' || (mode === 'plan' && !found)
  const readOnly = mode === 'plan' && !memory
  if (!memory && !readOnly) await makeWritable(path, display)
  if (tempDirectory !== undefined) await makeWritable(join(tempDirectory, 'spilled'), display)
  const config: Record<string, string> = {
    // Only before access to files is shut.
    ...(tempDirectory === undefined ? {} : { temp_directory: resolve(tempDirectory) }),
    threads: String(threads),
    memory_limit: memoryLimit ?? OPENING_MEMORY,
    // SQL of a pipeline reads tables, not the machine's files.
    enable_external_access: 'false',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    // What it has freed goes back to the system while it is idle, too.
    allocator_background_threads: 'true',
    allocator_flush_threshold: '16MB',
    // What was committed since the last checkpoint is held in memory.
    checkpoint_threshold: '32MB',
    ...(readOnly ? { access_mode: 'READ_ONLY' } : {}),
  }
  let instance: DuckDBInstance | undefined
  let connection: DuckDBConnection | undefined
  let limit: Memory
  const notices = new Notices()
  try {
    // Two instances of one file in one process would not see each other's lock.
    instance = memory ? await DuckDBInstance.create(':memory:', config) : await DuckDBInstance.fromCache(resolve(path), config)
    connection = await instance.connect()
    await settle(connection)
    limit = await Memory.of(instance, notices, memoryLimit)
  } catch (error) {
    connection?.closeSync()
    instance?.closeSync()
    throw openError(display, error)
  }
  const presence = memory ? undefined : await Presence.of(path, display)
  const warehouse = new TransactionalWarehouse(new DuckdbEngine({ instance, connection, display, memory: limit, presence }), mode, notices)
  try {
    await warehouse.checkVersion()
    return warehouse
  } catch (error) {
    await warehouse.close()
    throw error
  }
}

/**
 * The session zone is UTC and the calendar is ours whatever TZ and LANG say, since days and years of an instant depend on them.
 * They can't be given when the file is opened, as ICU is not loaded then; after it, nothing that SQL depends on can be changed
 * any more.
 */
async function settle(connection: DuckDBConnection): Promise<void> {
  // An instance that this process had open already is settled.
  const locked = await connection.runAndReadAll("SELECT current_setting('lock_configuration')")
  if (locked.getRows()[0]?.[0] === true) return
  await connection.run("SET GLOBAL TimeZone = 'UTC'")
  // `Memory` raises it.
  await connection.run("SET GLOBAL allowed_configs = ['memory_limit']")
  await connection.run("SET GLOBAL Calendar = 'gregorian'")
  await connection.run('SET GLOBAL lock_configuration = true')
}

/** Whether there is a file. @throws {WarehouseOpenError} when something else is there. */
async function look(path: string, display: string): Promise<boolean> {
  try {
    const found = await stat(path)
    if (found.isDirectory()) throw new WarehouseOpenError(display, 'is a folder, not a file', 'name a file in it')
    if (!found.isFile()) throw new WarehouseOpenError(display, 'is no regular file', 'name a file')
    if (found.size === 0) throw new WarehouseOpenError(display, 'is an empty file, not a DuckDB file', 'delete it, and run again')
    return true
  } catch (error) {
    if (error instanceof WarehouseOpenError) throw error
    if (codeOf(error) === 'ENOENT') return false
    throw fileError(display, path, error)
  }
}

/** Makes the folder. DuckDB writes beside the file, too, so the folder itself must be writable. */
async function makeWritable(path: string, display: string): Promise<void> {
  const folder = dirname(resolve(path))
  try {
    await makeFolders(folder)
    await access(folder, constants.W_OK)
  } catch (error) {
    throw fileError(display, folder, error)
  }
  try {
    await access(path, constants.W_OK)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw fileError(display, path, error)
  }
}

function fileError(display: string, path: string, error: unknown): WarehouseOpenError {
  switch (codeOf(error)) {
    case 'EACCES':
    case 'EPERM':
      return new WarehouseOpenError(display, `no permission to write ${path}`, 'check the owner of the file and its folder', error)
    case 'EROFS':
      return new WarehouseOpenError(display, `${path} is on a read-only disk`, 'name a path on a disk that can be written', error)
    case 'ENOTDIR':
    case 'EEXIST':
      return new WarehouseOpenError(display, `a part of its path is a file, not a folder`, 'check the path', error)
    case 'ENOSPC':
      return new WarehouseOpenError(display, 'no space left on the disk', 'free some space', error)
    default:
      return new WarehouseOpenError(display, `${path} can't be used (${codeOf(error) ?? String(error)})`, 'check the path', error)
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
