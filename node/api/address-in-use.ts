import { MillraceError } from '../../core/index.js'

/** The API cannot listen where it should. */
export class AddressInUseError extends MillraceError {
  readonly code = 'ERR_ADDRESS_IN_USE'
}
