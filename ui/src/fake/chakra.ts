/** The components of Chakra that are used, by their names. */

export const Badge = "Badge";
export const Box = "Box";
export const Button = "Button";
export const Code = "Code";
export const Flex = "Flex";
export const Heading = "Heading";
export const Link = "Link";
export const Spinner = "Spinner";
export const Text = "Text";
export const Table = {
  Root: "Table.Root",
  Header: "Table.Header",
  Body: "Table.Body",
  Row: "Table.Row",
  ColumnHeader: "Table.ColumnHeader",
  Cell: "Table.Cell",
  ScrollArea: "Table.ScrollArea",
};
