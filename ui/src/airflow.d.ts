/** What Airflow's UI has for its plugins; no more of Chakra than is used here, and not typed further. */
declare module "@chakra-ui/react" {
  import type { ComponentType } from "react";

  type Any = ComponentType<any>;
  export const Badge: Any;
  export const Box: Any;
  export const Button: Any;
  export const Code: Any;
  export const Flex: Any;
  export const Heading: Any;
  export const Link: Any;
  export const Spinner: Any;
  export const Table: { Root: Any; Header: Any; Body: Any; Row: Any; ColumnHeader: Any; Cell: Any; ScrollArea: Any };
  export const Text: Any;
}

/** The component of the plugin that was loaded last, taken by Airflow right after the import. */
declare var AirflowPlugin: unknown;
