#!/usr/bin/env node
import { launch } from './launch.mjs'

await launch(import.meta.url, 'src/quick-start/quick-start.ts', 'quickStartMain')
