// Numbers against what the file says of them.
import type { CompareOperator } from '../../syntax/ast.ts'

/** Whether `left OPERATOR right` is true; operators of lists and texts mean equality here. */
export function compareNumbers(left: number, operator: CompareOperator, right: number): boolean {
  switch (operator) {
    case '!=':
      return left !== right
    case '<':
      return left < right
    case '>':
      return left > right
    case '<=':
      return left <= right
    case '>=':
      return left >= right
    case '==':
    case 'in':
    case 'matches':
      return left === right
  }
}
